package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config says where spans go. Endpoint is required.
type Config struct {
	Endpoint string            // of traces, such as http://localhost:4318/v1/traces
	Headers  map[string]string // of each request, such as an API key; never logged
	Resource []Attribute       // what makes the spans
	Scope    string            // the part of the program that makes them
	Client   *http.Client      // nil means one of our own; no redirect is followed
	Timeout  time.Duration     // of a request; zero means ten seconds
	Log      *slog.Logger      // nil means discard

	sampler *sampler // nil means what parents say, and everything where there is none
}

// The settings of OpenTelemetry's that are looked at.
const (
	variableDisabled = "OTEL_SDK_DISABLED"
	variableExporter = "OTEL_TRACES_EXPORTER"
	variableAll      = "OTEL_EXPORTER_OTLP_"
	variableTraces   = "OTEL_EXPORTER_OTLP_TRACES_"
	variableName     = "OTEL_SERVICE_NAME"
	variableResource = "OTEL_RESOURCE_ATTRIBUTES"
	variableSampler  = "OTEL_TRACES_SAMPLER"
	variableRatio    = "OTEL_TRACES_SAMPLER_ARG"
)

// FromEnvironment reads OpenTelemetry's settings, and reports whether they name a collector.
// Service is the name of what makes the spans, where they name none.
func FromEnvironment(lookup func(string) (string, bool), service string) (cfg Config, on bool, err error) {
	e := environment{lookup: lookup}
	if strings.EqualFold(e.get(variableDisabled), "true") || e.get(variableExporter) == "none" {
		return Config{}, false, nil
	}
	if cfg.Endpoint, err = e.endpoint(); err != nil || cfg.Endpoint == "" {
		return Config{}, false, err
	}
	if exporter := e.get(variableExporter); exporter != "" && exporter != "otlp" {
		return Config{}, false, fmt.Errorf("%s is %q: traces are sent by otlp, or not at all with none", variableExporter, exporter)
	}
	var problems []error
	cfg.Client, err = e.client()
	problems = append(problems, err)
	cfg.Headers, err = e.headers()
	problems = append(problems, err)
	cfg.Timeout, err = e.timeout()
	problems = append(problems, err)
	cfg.Resource, err = e.resource(service)
	problems = append(problems, err)
	cfg.sampler, err = e.sampler()
	problems = append(problems, err, e.protocol())
	return cfg, true, errors.Join(problems...)
}

type environment struct{ lookup func(string) (string, bool) }

// get is a variable's value; an empty one is as good as none.
func (e environment) get(name string) string {
	value, _ := e.lookup(name)
	return strings.TrimSpace(value)
}

// of is a setting of the exporter: the one for traces, or else the one for everything.
func (e environment) of(name string) (value, variable string) {
	if value = e.get(variableTraces + name); value != "" {
		return value, variableTraces + name
	}
	return e.get(variableAll + name), variableAll + name
}

// endpoint is where traces go: the setting for traces is a whole URL, the other one is what
// signals of every kind go below.
func (e environment) endpoint() (string, error) {
	value, variable := e.of("ENDPOINT")
	if value == "" {
		return "", nil
	}
	at, err := url.Parse(value)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.Fragment != "" {
		return "", fmt.Errorf("%s is not the URL of a collector, such as http://localhost:4318", variable)
	}
	if variable == variableAll+"ENDPOINT" {
		at = at.JoinPath("v1", "traces")
	}
	return at.String(), nil
}

// protocol refuses settings by which a collector would be spoken to otherwise.
func (e environment) protocol() error {
	switch value, variable := e.of("PROTOCOL"); value {
	case "", "http/json", "http/protobuf": // collectors take both at the same address
		return nil
	default:
		return fmt.Errorf("%s is %q: traces are sent as http/json, to the collector's port for HTTP (4318)", variable, value)
	}
}

func (e environment) headers() (map[string]string, error) {
	value, variable := e.of("HEADERS")
	headers := map[string]string{}
	list, err := parseList(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	for _, entry := range list {
		if !isToken(entry.Key) || strings.ContainsFunc(entry.Text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, fmt.Errorf("%s has an entry that is no header", variable)
		}
		headers[entry.Key] = entry.Text
	}
	return headers, nil
}

// isToken reports whether s may be the name of a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
	})
}

// parseList reads key=value,key=value, whose values are percent-encoded. Its errors repeat
// nothing: values may be secrets.
func parseList(s string) ([]Attribute, error) {
	var list []Attribute
	for entry := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		key, value, ok := strings.Cut(entry, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, errors.New("write it as key=value,key=value")
		}
		text, err := url.PathUnescape(strings.TrimSpace(value))
		if err != nil {
			return nil, errors.New("the value of " + strconv.Quote(key) + " has a percent sign that escapes nothing: write it as %25")
		}
		list = append(list, Attribute{Key: key, Text: text})
	}
	return list, nil
}

func (e environment) resource(service string) ([]Attribute, error) {
	list, err := parseList(e.get(variableResource))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variableResource, err)
	}
	const key = "service.name"
	named := e.get(variableName)
	var resource []Attribute
	for _, attribute := range list {
		if attribute.Key == key {
			if named == "" {
				named = attribute.Text
			}
			continue
		}
		resource = append(resource, attribute)
	}
	if named == "" {
		named = service
	}
	return append([]Attribute{{Key: key, Text: named}}, resource...), nil
}

func (e environment) timeout() (time.Duration, error) {
	value, variable := e.of("TIMEOUT")
	if value == "" {
		return 0, nil
	}
	ms, err := strconv.ParseUint(value, 10, 31)
	if err != nil || ms == 0 {
		return 0, fmt.Errorf("%s is %q: write milliseconds, such as 10000", variable, value)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// client trusts what the settings say.
func (e environment) client() (*http.Client, error) {
	bundle, variable := e.of("CERTIFICATE")
	if bundle == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM form", variable, bundle)
	}
	return newClient(roots), nil
}

func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
	}}
}

func (e environment) sampler() (*sampler, error) {
	ratio := func() (uint64, error) {
		value := e.get(variableRatio)
		if value == "" {
			return allTraces, nil
		}
		share, err := strconv.ParseFloat(value, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return 0, fmt.Errorf("%s is %q: write a share from 0 to 1, such as 0.1", variableRatio, value)
		}
		return uint64(share * allTraces), nil
	}
	name := e.get(variableSampler)
	kind, parents := strings.CutPrefix(name, "parentbased_")
	s := &sampler{parents: parents, most: allTraces}
	var err error
	switch kind {
	case "":
		s.parents = true
	case "always_on":
	case "always_off":
		s.most = 0
	case "traceidratio":
		s.most, err = ratio()
	default:
		return s, fmt.Errorf("%s is %q: use parentbased_always_on, always_on, always_off, traceidratio or another of OpenTelemetry's", variableSampler, name)
	}
	if name == "parentbased_" {
		return s, fmt.Errorf("%s is %q: say what decides where there is no parent", variableSampler, name)
	}
	return s, err
}

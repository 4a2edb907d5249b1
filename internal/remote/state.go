package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// How somebody is signed in.
const (
	ByDeviceCode     = "device-code" // a user
	BySecret         = "secret"
	ByCertificate    = "certificate"
	ByFederatedToken = "federated-token"
)

// A Record is what is kept of one server beside secrets.
type Record struct {
	Name            string    `json:"name"`
	URL             string    `json:"url"` // of the authority, without a slash at the end, as are the others
	Tenant          string    `json:"tenant"`
	Graph           string    `json:"graph"`
	ResourceManager string    `json:"resourceManager,omitempty"`
	By              string    `json:"by"`
	Who             string    `json:"who"`               // user principal name, or the app id of an application
	Account         string    `json:"account,omitempty"` // of a user, as the library names it
	File            string    `json:"file,omitempty"`    // of an application's certificate or federated token
	Bundle          bool      `json:"bundle,omitempty"`  // there is a copy of certificates to trust
	Keyring         bool      `json:"keyring,omitempty"` // the key of the secrets is in the system's keyring
	SignedIn        time.Time `json:"signedIn"`
	Renewed         time.Time `json:"renewed"`         // when a token was last issued
	Ended           string    `json:"ended,omitempty"` // why the sign-in has ended

	trusting string // the bundle that a first sign-in names
}

// refreshLife is how long a server of ours keeps the sign-in of a user who does nothing.
const refreshLife = 90 * 24 * time.Hour

// Until is when the sign-in ends if nobody uses it; zero: only with its credential.
func (r *Record) Until() time.Time {
	if r.By == ByDeviceCode {
		return r.Renewed.Add(refreshLife)
	}
	return time.Time{}
}

// again is the command that signs in anew.
func (r *Record) again() string {
	command := "rolecall login " + r.URL + " --name " + r.Name
	switch r.By {
	case BySecret:
		command += " --client-id " + r.Who + " --secret-stdin"
	case ByCertificate:
		command += " --client-id " + r.Who + " --certificate FILE"
	case ByFederatedToken:
		command += " --client-id " + r.Who + " --federated-token-file FILE"
	}
	if r.trusting != "" {
		command += " --ca-bundle " + text.Quote(r.trusting)
	}
	return command
}

// stateVersion is that of the file's form.
const stateVersion = 1

type state struct {
	Version int      `json:"version"`
	Servers []Record `json:"servers"`
}

// parseState reads the state file strictly: it decides where tokens are sent.
func parseState(b []byte) (*state, error) {
	var s state
	decoder := json.NewDecoder(bytes.NewReader(b))
	if err := decoder.Decode(&struct {
		Version *int `json:"version"`
	}{&s.Version}); err != nil {
		return nil, errors.New("it is no JSON")
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("it has version %d, this program knows version %d", s.Version, stateVersion)
	}
	decoder = json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("it is not as this program writes it: %s", text.Shown(err.Error()))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind its end")
	}
	seen := map[string]bool{}
	for i := range s.Servers {
		r := &s.Servers[i]
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("server %d: %w", i+1, err)
		}
		if seen[r.Name] {
			return nil, fmt.Errorf("there are two servers %q", r.Name)
		}
		seen[r.Name] = true
	}
	return &s, nil
}

func (r *Record) check() error {
	if err := CheckName(r.Name); err != nil {
		return err
	}
	places := []string{r.URL, r.Graph}
	if r.ResourceManager != "" {
		places = append(places, r.ResourceManager)
	}
	for _, at := range places {
		if _, err := parseOrigin(at); err != nil {
			return err
		}
	}
	switch {
	case !guid.Is(r.Tenant):
		return fmt.Errorf("the tenant %q is no id", text.Shown(r.Tenant))
	case r.By == ByDeviceCode && r.Account == "":
		return errors.New("the account of its user is missing")
	case r.By == ByDeviceCode:
		return nil
	case !guid.Is(r.Who):
		return fmt.Errorf("the application %q is no app id", text.Shown(r.Who))
	case r.By == BySecret, (r.By == ByCertificate || r.By == ByFederatedToken) && r.File != "":
		return nil
	}
	return fmt.Errorf("nobody signs in by %q", text.Shown(r.By))
}

var serverName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CheckName refuses what cannot be the name of a server: names stand in file names and commands.
func CheckName(name string) error {
	if !serverName.MatchString(name) {
		return failure(ErrInvalid, "choose one with `--name team`", "%q is no name for a server: up to 64 lower-case letters, digits, dots, hyphens and underscores, a letter or digit first", text.Shown(name))
	}
	return nil
}

// parseOrigin reads an https URL without a path.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "#") || u.Path != "" {
		return nil, fmt.Errorf("%q is no URL such as https://auth.corp.test:8443", text.Shown(s))
	}
	return u, nil
}

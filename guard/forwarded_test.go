package guard_test

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// exampleClientCert is the header of RFC 9440, appendix A.
const exampleClientCert = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:"

func TestForwardedCertificates(t *testing.T) {
	t.Parallel()
	der := exampleDER(t)
	plain := base64.StdEncoding.EncodeToString(der)
	escaped := url.PathEscape(exampleCertificate)
	for name, value := range map[string]string{
		"nginx":                     escaped,
		"nginx, every byte escaped": strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(exampleCertificate), "+", "%20"), "-", "%2D"),
		"PEM":                       exampleCertificate,
		"a chain in PEM":            url.PathEscape(exampleCertificate + exampleCertificate),
		"App Service":               plain,
		"Traefik":                   url.QueryEscape(plain),
		"Traefik, a chain":          plain + "," + plain,
		"RFC 9440":                  ":" + plain + ":",
		"Envoy":                     `By=spiffe://api;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Cert="` + escaped + `";Subject="CN=\"a;b\",O=c"`,
		"Envoy without quotes":      `Hash=468e;Cert=` + escaped,
	} {
		if got, ok := guard.ForwardedCertificate(value); !ok || !bytes.Equal(got, der) {
			t.Errorf("%s: %t", name, ok)
		}
	}
	if got, ok := guard.ForwardedCertificate(exampleClientCert); !ok || ":"+base64.StdEncoding.EncodeToString(got)+":" != exampleClientCert {
		t.Error("the example of RFC 9440 is refused")
	}
	for name, value := range map[string]string{
		"nothing":                 "",
		"a blank":                 " ",
		"a word":                  "none",
		"a colon":                 ":",
		"no colon at its end":     ":" + plain,
		"two elements of Envoy":   `Hash=aa;Cert="` + escaped + `",Hash=bb;Cert="` + escaped + `"`,
		"two certificates":        `Cert="` + escaped + `";Cert="` + escaped + `"`,
		"Envoy without Cert":      `By=spiffe://api;Hash=468e`,
		"Envoy, an empty Cert":    `Hash=aa;Cert=""`,
		"Envoy, an open quote":    `Hash=aa;Cert="` + escaped,
		"Envoy, more behind":      `Hash=aa;Cert="` + escaped + `"x`,
		"a key":                   url.PathEscape(strings.ReplaceAll(exampleCertificate, "CERTIFICATE", "PRIVATE KEY")),
		"more behind PEM":         url.PathEscape(exampleCertificate + "more"),
		"more behind DER":         base64.StdEncoding.EncodeToString(append(bytes.Clone(der), 0)),
		"base64url":               base64.URLEncoding.EncodeToString(der),
		"cut short":               plain[:len(plain)-8],
		"an escape that is none":  escaped + "%zz",
		"a line break":            plain[:40] + "\n" + plain[40:],
		"longer than a header is": strings.Repeat("A", 33<<10),
	} {
		if _, ok := guard.ForwardedCertificate(value); ok {
			t.Errorf("%s: read", name)
		}
	}
}

// FuzzForwardedCertificate reads any header. What is read is a certificate, whole, and read
// again from its own base64.
func FuzzForwardedCertificate(f *testing.F) {
	der := exampleDER(f)
	plain := base64.StdEncoding.EncodeToString(der)
	for _, seed := range []string{plain, ":" + plain + ":", url.PathEscape(exampleCertificate), `Hash=a;Cert="` + url.PathEscape(exampleCertificate) + `";URI=`, `="`, "%", ":", "-----BEGIN", `Cert=\"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, ok := guard.ForwardedCertificate(value)
		if !ok {
			if got != nil {
				t.Error("refused, and returned")
			}
			return
		}
		again, ok := guard.ForwardedCertificate(base64.StdEncoding.EncodeToString(got))
		if !ok || !bytes.Equal(again, got) {
			t.Errorf("%q is read, and its own certificate is not", value)
		}
	})
}

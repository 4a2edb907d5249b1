package authority

import (
	"strings"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := newWorld(t).cfg
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   string // empty: it is accepted
	}{
		{"an address", func(c *Config) { c.BaseURL = "https://127.0.0.1:8443" }, ""},
		{"an IPv6 address", func(c *Config) { c.BaseURL = "https://[::1]:8443" }, ""},
		{"a slash at the end", func(c *Config) { c.BaseURL = "https://login.contoso.test/" }, ""},
		{"http on loopback", func(c *Config) { c.BaseURL = "http://127.0.0.1:8080" }, ""},
		{"http on localhost", func(c *Config) { c.BaseURL = "http://localhost:8080" }, ""},
		{"http elsewhere", func(c *Config) { c.BaseURL = "http://login.contoso.test" }, "https"},
		{"nothing", func(c *Config) { c.BaseURL = "" }, "BaseURL"},
		{"no scheme", func(c *Config) { c.BaseURL = "login.contoso.test" }, "host"},
		{"no host", func(c *Config) { c.BaseURL = "https://:8443" }, "host"},
		{"a path", func(c *Config) { c.BaseURL = "https://login.contoso.test/auth" }, "root of a host"},
		{"a query", func(c *Config) { c.BaseURL = "https://login.contoso.test?x=y" }, "root of a host"},
		{"a user", func(c *Config) { c.BaseURL = "https://a@login.contoso.test" }, "root of a host"},
		{"not a URL", func(c *Config) { c.BaseURL = "https://[" }, "not a URL"},
		{"token in the host", func(c *Config) { c.BaseURL = "https://Token-auth.contoso.test" }, `"token"`},
		{"no directory", func(c *Config) { c.Directory = nil }, "Directory"},
		{"no keys", func(c *Config) { c.Keys = nil }, "Keys"},
		{"a short life", func(c *Config) { c.Lifetime = time.Second }, "Lifetime"},
		{"a long life", func(c *Config) { c.Lifetime = 25 * time.Hour }, "Lifetime"},
		{"stale for a week", func(c *Config) { c.MaxStale = 168 * time.Hour }, "MaxStale"},
		{"an issuer for all tenants", func(c *Config) { c.V1Issuer = "https://sts.windows.net/" }, "{tenantid}"},
		{"an issuer that is no URL", func(c *Config) { c.V1Issuer = "{tenantid}" }, "{tenantid}"},
		{"a negative limit", func(c *Config) { c.Throttle.Failures = -1 }, "Throttle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			cfg.V1Issuer = ""
			tt.change(&cfg)
			_, err := New(cfg)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, want an error about %s", err, tt.says)
			}
		})
	}
}

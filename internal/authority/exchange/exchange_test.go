package exchange

import (
	"net/http"
	"testing"
)

func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		form   Form
		header http.Header
		want   string
	}{
		{"in headers", nil, http.Header{"X-Client-Sku": {"MSAL.Go"}, "X-Client-Ver": {"1.10.1"}}, "MSAL.Go 1.10.1"},
		{"in the form", Form{"x-client-SKU": "msal.js.node", "x-client-VER": "7.2.3"}, nil, "msal.js.node 7.2.3"},
		{"as a user agent", nil, http.Header{"User-Agent": {"curl/8"}}, "curl/8"},
		{"forged", Form{"x-client-SKU": "a\r\nb\x1b[31m\u202e\u2028z"}, nil, "a??b?[31m??z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &Exchange{Request: &http.Request{Header: tt.header}}
			if got := x.Library(tt.form); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

package explain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// An identity endpoint of this machine is tried; one that is elsewhere is nobody's to ask: on a
// virtual machine of Azure it gives out the machine's own identity.
func TestOnlyThisMachinesEndpointsAreTried(t *testing.T) {
	t.Parallel()
	dir := fixture.OpenDirectory(t, time.Now)
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:1/msi/token":       "127.0.0.1:1",
		"http://[::1]:1/msi/token":           "[::1]:1",
		"http://localhost/msi/token":         "localhost:80",
		"http://169.254.169.254/metadata":    "", // as data: it is not dialled
		"http://identity.test:8080/token":    "",
		"http://127.0.0.1.evil.test/x":       "",
		"http://169.254.169.254#@127.0.0.1/": "",
	} {
		tried := ""
		report, err := explain.Environment(t.Context(), explain.EnvironmentInput{
			Lookup: func(name string) (string, bool) {
				value := map[string]string{"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": "x"}[name]
				return value, value != ""
			},
			Directory: dir,
			Reach: func(_ context.Context, address string) error {
				tried = address
				return errors.New("nothing is there")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if tried != want {
			t.Errorf("%s: %q was tried, want %q", endpoint, tried, want)
		}
		if want != "" && report.Accepted {
			t.Errorf("%s: nothing listens, and the verdict is %q", endpoint, report.Verdict)
		}
	}
}

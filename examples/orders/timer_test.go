package orders_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/examples/orders"
)

// lines counts the log lines that hold a text.
type lines struct {
	text string
	n    int
}

func (l *lines) Write(line []byte) (int, error) {
	l.n += strings.Count(string(line), l.text)
	return len(line), nil
}

func TestRunTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &lines{text: "orders not processed"}
		client, err := orders.NewClient(orders.ClientConfig{
			TenantID: "contoso.test", AppID: "client", ServerAppID: "server", URL: "http://localhost/",
			ConnectionString: "RunAs=CurrentUser", // a way that fails without a network
			Log:              slog.New(slog.NewTextHandler(seen, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 35*time.Minute)
		defer stop()
		if err := client.Run(ctx, 10*time.Minute); err != nil {
			t.Error(err)
		}
		if seen.n != 4 { // at once, and after 10, 20 and 30 minutes
			t.Errorf("%d runs in 35 minutes, want 4", seen.n)
		}
	})
}

package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// portVariable names the port the Functions host has chosen for its handler.
const portVariable = "FUNCTIONS_CUSTOMHANDLER_PORT"

// Hosted reports whether the program runs under the Functions host.
func Hosted(getenv func(string) string) bool { return getenv(portVariable) != "" }

// Address returns where to listen: where the Functions host wants it, or else at the
// fallback.
func Address(getenv func(string) string, fallback string) string {
	if port := getenv(portVariable); port != "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return fallback
}

// Serve listens at an address until the context ends, then lets requests under way finish.
func Serve(ctx context.Context, address string, handler http.Handler, log *slog.Logger) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	log.Info("listening", "address", "http://"+listener.Addr().String())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = server.Shutdown(finish)
	if serveErr := <-stopped; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

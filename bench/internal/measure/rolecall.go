package measure

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// A Rolecall is a running rolecall server.
type Rolecall struct {
	*Process
	Authority string
	Graph     string
	CABundle  string
	Tenants   []struct{ Name, ID string }
}

// Serve starts a server on a data folder, on free ports.
func Serve(ctx context.Context, binary, dir string, args ...string) (*Rolecall, error) {
	process, err := Start(ctx, binary, append([]string{"serve", "--data", dir, "--port", "0", "-o", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	r := &Rolecall{Process: process}
	if err := json.Unmarshal([]byte(process.Line), r); err != nil {
		return nil, errors.Join(fmt.Errorf("read the line of a ready server: %w", err), process.Stop())
	}
	if len(r.Tenants) == 0 {
		return nil, errors.Join(errors.New("the server has no tenant"), process.Stop())
	}
	return r, nil
}

// Client returns a client for the version 2 token endpoint of the first tenant.
func (r *Rolecall) Client(connections int) (*Client, error) {
	bundle, err := os.ReadFile(r.CABundle)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("%s holds no certificate", r.CABundle)
	}
	return NewClient(r.Authority+"/"+r.Tenants[0].ID+"/oauth2/v2.0/token", roots, connections), nil
}

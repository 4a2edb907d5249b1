package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Endpoints says where a server's surfaces are. A surface that is not there is left out.
type Endpoints struct {
	Authority       string   `json:"authority"`
	Graph           string   `json:"graph"`
	ResourceManager string   `json:"arm"`
	ManagedIdentity string   `json:"managedIdentity"`
	Ops             string   `json:"ops"`
	CABundle        string   `json:"caBundle"`
	Tenants         []Tenant `json:"tenants"`
	// V1Issuer is that of version 1 tokens, if it is not the authority itself.
	V1Issuer string `json:"v1Issuer,omitempty"`
}

// A Tenant names a tenant that a server had when it started.
type Tenant struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// state is what server.json holds while a server runs.
type state struct {
	Endpoints
	PID      int       `json:"pid"`
	Store    storeMark `json:"store"`
	Instance string    `json:"instance"` // random, also in /status: tells this server from another on the same port
}

// Status is the answer of the ops surface's /status.
type Status struct {
	Instance  string `json:"instance"`
	Applied   int64  `json:"applied"` // sequence of the newest change taken in
	Version   string `json:"version"`
	Authority string `json:"authority"`
	// LostSignIns is how many sign-ins were never written since the server started.
	LostSignIns int64 `json:"lostSignIns"`
}

func writeState(dir string, s state) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	// A rename, so that no reader sees half a file; CreateTemp gives mode 0600.
	f, err := os.CreateTemp(dir, "."+stateFile+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", stateFile, err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, stateFile))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", stateFile, err), os.Remove(f.Name()))
	}
	return nil
}

// findLimit is how long a server on this machine has for a simple answer.
const findLimit = 2 * time.Second

// A Found is a running server that another process found.
type Found struct {
	Endpoints
	Dir string // the data folder
	PID int
}

// Find returns the server that runs on a data folder, or nil when there is none. It trusts
// server.json only when the server named there answers and knows itself by it: after a
// crash the file stays behind.
func Find(ctx context.Context, dir string) (*Found, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a running server: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, nil //nolint:nilerr // a file that is not ours, or torn: no server answers for it
	}
	found := &Found{Endpoints: s.Endpoints, Dir: dir, PID: s.PID}
	status, err := found.status(ctx)
	if err != nil || status.Instance != s.Instance {
		return nil, ctx.Err()
	}
	return found, nil
}

// status asks /status.
func (f *Found) status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Ops+"/status", nil)
	if err != nil {
		return Status{}, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: the address is this machine's
	response, err := client.Do(request)
	if err != nil {
		return Status{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("answered %s", response.Status)
	}
	var status Status
	err = json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&status)
	return status, err
}

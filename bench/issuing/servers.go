package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

// A contestant is a server that hands out tokens.
type contestant struct {
	name    string
	process *measure.Process
	client  *measure.Client
	fields  url.Values
	tokens  int
	elapsed time.Duration
	cpu     time.Duration
}

func (c *contestant) stop() {
	c.client.Close()
	if err := c.process.Stop(); err != nil {
		log.Printf("stop %s: %v", c.name, err)
	}
}

const (
	oursName = "rolecall"
	bareName = "bare signing server"
)

// start starts all servers. What runs is returned with an error as well, to be stopped.
func start(ctx context.Context, dir, peers string, concurrency int) ([]*contestant, error) {
	ours, err := startOurs(ctx, dir, concurrency)
	if err != nil {
		return nil, err
	}
	all := []*contestant{ours}
	certificate, err := newCertificate(dir)
	if err != nil {
		return all, err
	}
	secret := rand.Text() + rand.Text()
	for _, other := range []struct {
		name, program string
		args          []string
	}{
		{bareName, os.Args[0], []string{bareCommand, certificate.key, certificate.file}},
		{"oidc-provider", "node", []string{filepath.Join(peers, "oidc-provider.mjs"), certificate.key, certificate.file, secret}},
		{"oauth2-mock-server", "node", []string{filepath.Join(peers, "oauth2-mock-server.mjs"), certificate.key, certificate.file}},
	} {
		if _, err := exec.LookPath(other.program); err != nil {
			log.Printf("%s is left out: %v", other.name, err)
			continue
		}
		process, err := measure.Start(ctx, other.program, other.args...)
		if err != nil && other.program == "node" {
			log.Printf("%s is left out (npm ci --prefix %s installs it): %v", other.name, peers, err)
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, &contestant{
			name: other.name, process: process, client: measure.NewClient(process.Line, certificate.pool, concurrency),
			fields: url.Values{
				"grant_type": {"client_credentials"}, "client_id": {"orders-client"}, "client_secret": {secret},
				"scope": {"orders.read"}, "resource": {"api://orders"},
			},
		})
	}
	return all, nil
}

const manifest = `tenants:
  - name: contoso
    applications:
      - name: orders-server
        identifierUris: [api://orders]
        appRoles: [{value: Orders.Read}]
      - name: orders-client
        secrets: [{name: bench, generate: true}]
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
`

// startOurs builds the binary, fills a data folder and serves it, as a user would.
func startOurs(ctx context.Context, dir string, concurrency int) (*contestant, error) {
	binary, err := measure.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	file, data := filepath.Join(dir, "rolecall.yaml"), filepath.Join(dir, "data")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, binary, "apply", "-f", file, "--data", data, "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("apply the manifest: %w", err)
	}
	var applied struct {
		Secrets []struct{ AppID, Value string }
	}
	if err := json.Unmarshal(out, &applied); err != nil || len(applied.Secrets) != 1 {
		return nil, errors.Join(errors.New("apply made no secret"), err)
	}
	server, err := measure.Serve(ctx, binary, data)
	if err != nil {
		return nil, err
	}
	client, err := server.Client(concurrency)
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return &contestant{name: oursName, process: server.Process, client: client, fields: url.Values{
		"grant_type": {"client_credentials"}, "client_id": {applied.Secrets[0].AppID}, "client_secret": {applied.Secrets[0].Value},
		"scope": {"api://orders/.default"},
	}}, nil
}

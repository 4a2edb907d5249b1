package command

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A Management is how a command changes an open data folder, as the operator of the machine:
// what Microsoft Graph has through Graph's handlers in this process, and the rest through Local.
// Commands change nothing in another way.
type Management struct {
	Local *operate.API

	graph *graph.API
	actor directory.Actor
	// rehearses is told what a dry run would change; nil: it is none.
	rehearses func([]directory.ChangeNote)
}

// localGraph is where Graph is, as nobody but this process calls it.
const localGraph = "https://graph.localhost"

// Manage returns the management of an open data folder. The words of the command stand in the
// audit trail: "cli:host create". Close ends it.
func (c *Line) Manage(data *server.Data, words string) (*Management, error) {
	actor := directory.Operator("cli:" + words)
	local, err := operate.New(operate.Config{Directory: data.Directory, Keys: data.Keys, Actor: actor, DryRun: c.Rehearses()})
	if err != nil {
		return nil, err
	}
	api, err := graph.New(graph.Config{Authority: localGraph, URL: localGraph, Directory: data.Directory, HTTPClient: &http.Client{}, Now: c.Now})
	if err != nil {
		return nil, err
	}
	return &Management{local, api, actor, c.Rehearses()}, nil
}

// Graph calls Graph in one tenant.
func (m *Management) Graph(tenant *directory.Tenant) *graphclient.Client {
	return &graphclient.Client{
		Base: localGraph + "/v1.0", HTTP: &http.Client{Transport: inprocess.Transport{Handler: m.graph.Operator(tenant, m.actor.Name)}},
		DryRun: m.rehearses,
	}
}

// Close ends what calls of Graph have begun.
func (m *Management) Close() { m.graph.Close() }

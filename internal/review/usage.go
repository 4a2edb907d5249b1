package review

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A usage says when things were last used, as far as sign-ins tell.
type usage struct {
	since       time.Time // of the oldest sign-in; zero: there are none
	clients     map[clientKey]time.Time
	credentials map[string]time.Time // by id
	roles       map[permissionKey]time.Time
}

type clientKey struct {
	tenant directory.TenantID
	app    directory.AppID
}

// A permissionKey is a role or scope that stood in a token of a client for an API.
type permissionKey struct {
	client clientKey
	api    directory.AppID
	value  string
	user   bool // a scope
}

// usage reads the sign-ins that were kept.
func (r *Reviewer) usage(ctx context.Context) (*usage, error) {
	rows, err := r.Directory.SignIns(ctx, directory.SignInFilter{Limit: math.MaxInt32})
	if err != nil {
		return nil, err
	}
	u := &usage{clients: map[clientKey]time.Time{}, credentials: map[string]time.Time{}, roles: map[permissionKey]time.Time{}}
	names := &apiNames{view: r.Directory.View(ctx), known: map[[2]string]directory.AppID{}}
	for _, row := range rows {
		if u.since.IsZero() || row.Time.Before(u.since) {
			u.since = row.Time
		}
		if row.Refused() {
			continue
		}
		client := clientKey{row.Tenant, row.AppID}
		latest(u.clients, client, row.Time)
		if row.CredentialID != "" {
			latest(u.credentials, row.CredentialID, row.Time)
		}
		if len(row.Roles)+len(row.Scopes) == 0 {
			continue
		}
		api, err := names.find(row.Tenant, row.Resource)
		if err != nil {
			return nil, err
		}
		for _, value := range row.Roles {
			latest(u.roles, permissionKey{client, api, value, false}, row.Time)
		}
		for _, value := range row.Scopes {
			latest(u.roles, permissionKey{client, api, value, true}, row.Time)
		}
	}
	return u, nil
}

func latest[K comparable](times map[K]time.Time, key K, at time.Time) {
	if at.After(times[key]) {
		times[key] = at
	}
}

// apiNames finds the APIs that clients asked for.
type apiNames struct {
	view  *directory.View
	known map[[2]string]directory.AppID
}

func (n *apiNames) find(tenant directory.TenantID, resource string) (directory.AppID, error) {
	key := [2]string{string(tenant), resource}
	if id, known := n.known[key]; known {
		return id, nil
	}
	id := directory.AppID("")
	switch app, err := n.view.Applications().FindAPI(tenant, resource); {
	case err == nil:
		id = app.AppID
	case !errors.Is(err, directory.ErrNotFound):
		return "", err
	}
	n.known[key] = id
	return id, nil
}

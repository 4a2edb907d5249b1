package fill

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// TemplateID is the app id of the first client, which the others are made after.
const (
	TemplateID   = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	templateName = "orders-client"
)

const apiManifest = `tenants:
  - name: contoso
    applications:
      - name: orders-server
        identifierUris: [api://orders]
        appRoles: [{value: R0}, {value: R1}, {value: R2}, {value: R3}, {value: R4}, {value: R5}, {value: R6}, {value: R7}, {value: R8}, {value: R9}]
`

// Manifest is the API and its first client, with ten assignments and a secret that comes
// from there: "generate: true", or "value: …".
func Manifest(secret string) string {
	return apiManifest + `      - name: ` + templateName + `
        appId: ` + TemplateID + `
        secrets: [{name: bench, ` + secret + `}]
        permissions: [{api: orders-server, roles: [R0, R1, R2, R3, R4, R5, R6, R7, R8, R9], consent: true}]
`
}

func sequence(ctx context.Context, database string) (int64, error) {
	store, err := sqlite.Open(ctx, database)
	if err != nil {
		return 0, err
	}
	sequence, err := store.Sequence(ctx)
	return sequence, errors.Join(err, store.Close())
}

// clone writes so many copies of the objects that were made after a sequence. The rules of
// the directory cost several times what the store does, and have held for the original; as
// the copies are made of stored text, this program need not know how objects are kept.
func clone(ctx context.Context, database string, after int64, copies int) error {
	store, err := sqlite.Open(ctx, database)
	if err != nil {
		return err
	}
	return errors.Join(cloneInto(ctx, store, after, copies), store.Close())
}

func cloneInto(ctx context.Context, store *sqlite.Store, after int64, copies int) error {
	template, err := madeAfter(ctx, store, after)
	if err != nil {
		return err
	}
	const batch = 5000 // copies in one transaction
	for n := 1; n <= copies; n += batch {
		_, err := store.Update(ctx, func(tx directory.Tx) error {
			for i := n; i < min(n+batch, copies+1); i++ {
				if err := putCopy(ctx, tx, template, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write copies from %d on: %w", n, err)
		}
	}
	return nil
}

// madeAfter returns the objects that the changes after a sequence made.
func madeAfter(ctx context.Context, store *sqlite.Store, after int64) ([]directory.Object, error) {
	changes, err := store.Changes(ctx, after, 1000)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var objects []directory.Object
	for _, change := range changes {
		if seen[change.ID] {
			continue
		}
		seen[change.ID] = true
		object, err := store.Get(ctx, change.Tenant, change.Kind, change.ID)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	if len(objects) != 12 {
		return nil, fmt.Errorf("%d objects make a client, want its registration, its principal and 10 assignments", len(objects))
	}
	return objects, nil
}

// putCopy writes the n-th copy: everything in it bears ids and a name of its own.
func putCopy(ctx context.Context, tx directory.Tx, template []directory.Object, n int) error {
	pairs := []string{templateName, fmt.Sprintf("%s-%06d", templateName, n), TemplateID, CloneID(n)}
	for _, object := range template {
		pairs = append(pairs, object.ID, numbered(object.ID, n))
	}
	rename := strings.NewReplacer(pairs...)
	for _, object := range template {
		object.ID = rename.Replace(object.ID)
		object.Body = []byte(rename.Replace(string(object.Body)))
		keys := make([]string, len(object.Keys))
		for i, key := range object.Keys {
			keys[i] = rename.Replace(key)
		}
		object.Keys, object.Version = keys, 0
		if _, err := tx.Put(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// CloneID is the app id of the n-th copy.
func CloneID(n int) string { return numbered(TemplateID, n) }

// numbered gives a GUID another first part: the rest keeps ids of different objects apart.
func numbered(id string, n int) string { return fmt.Sprintf("%08x", n) + id[8:] }

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/manifest"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

const (
	secretEnding = ".secret"
	// shownStem stands in the names of files with secrets that are about to be shown.
	shownStem = "-apply"
	// forgotten is when such a file is of no apply any more that could still commit its secret.
	forgotten = time.Hour
)

// keepGenerated writes secrets to files before they are committed: whatever happens to this
// process then, none is valid and unknown. It returns their names, in the secrets' order.
func keepGenerated(dir, stem string, secrets []manifest.GeneratedSecret) (files []string, err error) {
	for _, s := range secrets {
		file, err := tempcred.WriteFile(dir, string(s.AppID)+stem, secretEnding, []byte(s.Value+"\n"))
		if err == nil {
			files = append(files, file)
			err = syncFile(file)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep the secret %q of %s: %w", s.Name, s.Application, err), removeFiles(files))
		}
	}
	return files, nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), folder.SyncDir(filepath.Dir(path)))
}

func removeFiles(files []string) error {
	var errs []error
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sayUnshown says where the secrets are that an apply committed and was killed before it
// showed them.
func (c *cli) sayUnshown(ctx context.Context, data *server.Data) error {
	files, err := filepath.Glob(filepath.Join(globEscape(c.Dir), "credentials", "*"+shownStem+"-*"+secretEnding))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) { // it was shown meanwhile
			continue
		}
		if err != nil {
			return err
		}
		app, secret, err := findSecret(ctx, data.Directory, filepath.Base(file), strings.TrimSpace(string(content)))
		switch {
		case err != nil:
			return err
		case secret != nil:
			c.Say("an earlier apply was ended before it showed the secret %q of %s: move it from %s to where it is needed", secret.Name, app.Name, file)
		default:
			if err := removeForgotten(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// globEscape makes a folder's name match itself only.
func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// removeForgotten removes a file whose secret was never committed.
func removeForgotten(file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && time.Since(info.ModTime()) < forgotten {
		return nil
	}
	if err != nil {
		return err
	}
	return removeFiles([]string{file})
}

// findSecret finds whose secret a file has, by the app id that its name begins with. There
// is none when the secret is no credential.
func findSecret(ctx context.Context, d *directory.Directory, name, value string) (*directory.Application, *directory.Secret, error) {
	const length = 36
	if len(name) < length {
		return nil, nil, nil
	}
	id, ok := guid.Parse(name[:length])
	if !ok {
		return nil, nil, nil
	}
	tenants, err := d.View(ctx).Tenants().All()
	if err != nil {
		return nil, nil, err
	}
	for _, tenant := range tenants {
		app, err := d.View(ctx).Applications().Find(tenant.ID, id)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if d.IsSlowSecret(app, value) { // of a generated one it never is
			return nil, nil, nil
		}
		secret, err := d.CheckSecret(ctx, app, value)
		if err != nil {
			return nil, nil, nil //nolint:nilerr // whatever is wrong with it, it is no credential
		}
		return app, secret, nil
	}
	return nil, nil, nil
}

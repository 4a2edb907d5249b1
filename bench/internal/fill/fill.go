// Package fill makes data folders with many applications in them.
package fill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Folder makes a data folder with so many clients of one API besides the first, which is
// made as a user would make it; the others are its likes. It returns their secret.
func Folder(ctx context.Context, binary, dir string, clients int) (secret string, err error) {
	if _, err := apply(ctx, binary, dir, apiManifest); err != nil {
		return "", err
	}
	database := filepath.Join(dir, "rolecall.db")
	before, err := sequence(ctx, database)
	if err != nil {
		return "", err
	}
	if secret, err = apply(ctx, binary, dir, Manifest("generate: true")); err != nil {
		return "", err
	}
	return secret, clone(ctx, database, before, clients)
}

// apply applies a manifest and returns the secret that it generated, if any.
func apply(ctx context.Context, binary, dir, text string) (string, error) {
	file := dir + ".yaml"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, binary, "apply", "-f", file, "--data", dir, "-o", "json").Output()
	if err != nil {
		return "", fmt.Errorf("apply a manifest: %w", err)
	}
	var applied struct{ Secrets []struct{ Value string } }
	if err := json.Unmarshal(out, &applied); err != nil || len(applied.Secrets) == 0 {
		return "", err
	}
	return applied.Secrets[0].Value, nil
}

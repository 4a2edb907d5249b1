package directory

import (
	"context"
	"slices"
)

// A Chosen is a secret or password that somebody chose. To keep one, or to find out whether
// it is the one there is, takes a slow hash; [Directory.Prepare] spends it before the
// transaction that needs it, for transactions take turns. One that was not prepared, or was
// for what has changed meanwhile, costs its hash inside.
//
// A Chosen is for one use, and not safe for concurrent use.
type Chosen struct {
	text     string
	compared []comparison
	hashed   *Secret // scheme, salt, cost and digest
}

// A comparison is what became of comparing the text with a secret.
type comparison struct {
	salt, digest string
	same         bool
}

// Choose takes the text of a secret or password.
func Choose(text string) *Chosen { return &Chosen{text: text} }

// Prepare makes the slow hashes that a transaction will need to put a chosen secret beside
// the present ones (or in the place of the present password).
func (d *Directory) Prepare(ctx context.Context, chosen *Chosen, present ...Secret) error {
	if chosen.text == "" || len(chosen.text) > maxSecret {
		return nil // the rules refuse it
	}
	known := false
	for i := range present {
		if present[i].Scheme != SchemeArgon2id {
			continue
		}
		same, err := d.secrets.same(ctx, &present[i], chosen)
		if err != nil {
			return err
		}
		known = known || same
	}
	if known || chosen.hashed != nil {
		return nil
	}
	hashed := &Secret{}
	if err := d.secrets.hash(ctx, hashed, chosen.text); err != nil {
		return err
	}
	chosen.hashed = hashed
	return nil
}

// orNil returns nil for one without text, which is no password.
func (c *Chosen) orNil() *Chosen {
	if c == nil || c.text == "" {
		return nil
	}
	return c
}

// same reports whether the secret is the chosen one.
func (s *secrets) same(ctx context.Context, secret *Secret, chosen *Chosen) (bool, error) {
	salt, digest := string(secret.Salt), string(secret.Digest)
	i := slices.IndexFunc(chosen.compared, func(c comparison) bool { return c.salt == salt && c.digest == digest })
	if i >= 0 {
		return chosen.compared[i].same, nil
	}
	same, err := s.is(ctx, operator(), secret, chosen.text)
	if err != nil {
		return false, err
	}
	chosen.compared = append(chosen.compared, comparison{salt, digest, same})
	return same, nil
}

// keep makes the secret the chosen one.
func (s *secrets) keep(ctx context.Context, secret *Secret, chosen *Chosen) error {
	prepared := chosen.hashed
	if prepared == nil {
		return s.hash(ctx, secret, chosen.text)
	}
	secret.Scheme, secret.Salt, secret.Cost, secret.Digest = prepared.Scheme, prepared.Salt, prepared.Cost, prepared.Digest
	chosen.hashed = nil // a second secret gets a salt of its own
	return nil
}

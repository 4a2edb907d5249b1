package keyring

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// documentFormat changes when an older program could not read the document.
const documentFormat = 1

const sealPurpose = "keyring"

// A document is a ring as it is sealed: all keys of one tenant.
type document struct {
	// Revision grows by one with each change. A running node refuses a document older
	// than the one it has: an old ring put back could revive a revoked key.
	Revision int64     `json:"revision"`
	Revoked  time.Time `json:"revoked,omitzero"` // when a key was last revoked
	Keys     []entry   `json:"keys"`
}

// An entry is one key. It contains the private key, so it is never logged or returned.
type entry struct {
	ID          string    `json:"id"`
	State       State     `json:"state"`
	Created     time.Time `json:"created"` // and published, both by the same write
	Activated   time.Time `json:"activated,omitzero"`
	Retired     time.Time `json:"retired,omitzero"`
	RetainUntil time.Time `json:"retainUntil,omitzero"`
	Certificate []byte    `json:"certificate"` // DER
	Private     []byte    `json:"private"`     // PKCS #8 DER
}

// An envelope is what the store keeps. All of a ring is sealed, not only the private
// keys: nobody who can write to the store may be able to publish a key of their own.
type envelope struct {
	Format int    `json:"format"`
	KEK    string `json:"kek"` // fingerprint
	Sealed []byte `json:"sealed"`
}

// sealContext binds a sealed document to its tenant, purpose, format and sealing key.
// Each part is preceded by its length, so that no two lists of parts look alike.
func sealContext(tenant, kek string, format int) []byte {
	var b []byte
	for _, part := range []string{sealPurpose, tenant, kek, fmt.Sprint(format)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// seal returns the body to store.
func seal(k *KEK, tenant string, doc document) ([]byte, error) {
	plain, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode key ring: %w", err)
	}
	defer clear(plain)
	id := k.Fingerprint()
	sealed, err := k.Seal(plain, sealContext(tenant, id, documentFormat))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{documentFormat, id, sealed})
}

// unseal is the inverse of seal. The body must be exactly the bytes that seal wrote.
func unseal(k *KEK, tenant string, body []byte) (document, error) {
	var env envelope
	if err := json.Unmarshal(body, &env); err != nil {
		return document{}, fmt.Errorf("%w (not a key ring)", ErrSealed)
	}
	if canonical, err := json.Marshal(env); err != nil || !bytes.Equal(canonical, body) {
		return document{}, fmt.Errorf("%w (not as written)", ErrSealed)
	}
	if env.Format != documentFormat {
		return document{}, fmt.Errorf("%w (format %d, this program reads %d: use the program that wrote it, or a newer one)", ErrSealed, env.Format, documentFormat)
	}
	if have := k.Fingerprint(); env.KEK != have {
		return document{}, fmt.Errorf("%w (it needs %.16q, the key-encryption key loaded is %q: start with the file that belongs to this store)", ErrSealed, env.KEK, have)
	}
	plain, err := k.Open(env.Sealed, sealContext(tenant, env.KEK, env.Format))
	if err != nil {
		return document{}, err
	}
	defer clear(plain)
	var doc document
	if err := json.Unmarshal(plain, &doc); err != nil {
		return document{}, fmt.Errorf("decode key ring: %w", err)
	}
	return doc, nil
}

// find returns the first key in that state; there is at most one, except of retired keys.
func (d document) find(s State) *entry {
	for i := range d.Keys {
		if d.Keys[i].State == s {
			return &d.Keys[i]
		}
	}
	return nil
}

// clone returns a document whose entries can be changed without changing d.
func (d document) clone() document {
	d.Keys = slices.Clone(d.Keys)
	return d
}

// complete reports whether the ring has a key to sign with and one to follow it.
func (d document) complete() bool { return d.find(Current) != nil && d.find(Next) != nil }

// advance retires the current key, lets the next one sign, and adds a new next key.
func (d document) advance(now time.Time, retain time.Duration, fresh entry) document {
	d = d.clone()
	current, next := d.find(Current), d.find(Next)
	current.State, current.Retired, current.RetainUntil = Retired, now, now.Add(retain)
	next.State, next.Activated = Current, now
	d.Keys = append(d.Keys, fresh)
	return d
}

// expired returns the ids of retired keys that no valid token can need any longer.
func (d document) expired(now time.Time) []string {
	var ids []string
	for _, e := range d.Keys {
		if e.State == Retired && now.After(e.RetainUntil) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// without returns the document without the keys that have those ids.
func (d document) without(ids []string) document {
	d = d.clone()
	d.Keys = slices.DeleteFunc(d.Keys, func(e entry) bool { return slices.Contains(ids, e.ID) })
	return d
}

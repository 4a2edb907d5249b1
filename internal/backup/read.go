package backup

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// A Backup is one that was read to its end and is whole.
type Backup struct {
	Header
	sum, code []byte
}

// Read reads a backup to its end and gives each file to put, in their order. What put
// receives counts for something only once Read has returned no error: the checksum is at
// the end. Contents that put leaves unread are read all the same.
func Read(r io.Reader, put func(entry Entry, content io.Reader) error) (*Backup, error) {
	in := &summing{r: r, hash: sha256.New()}
	header, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	for _, entry := range header.Files {
		content := &io.LimitedReader{R: in, N: entry.Size}
		if err := put(entry, content); err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return nil, unreadable(err)
		}
		if content.N > 0 {
			return nil, unreadable(io.ErrUnexpectedEOF)
		}
	}
	b := &Backup{Header: header, sum: in.hash.Sum(nil)}
	var end [2*sumSize + 1]byte
	n, err := io.ReadFull(r, end[:])
	switch {
	case err == nil:
		return nil, &Problem{What: "the backup goes on behind its end", Next: anotherBackup}
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		return nil, unreadable(err)
	case n < 2*sumSize:
		return nil, unreadable(io.ErrUnexpectedEOF)
	case !bytes.Equal(b.sum, end[:sumSize]):
		return nil, &Problem{What: "the backup does not match its checksum", Next: anotherBackup}
	}
	b.code = bytes.Clone(end[sumSize : 2*sumSize])
	return b, nil
}

// Belongs looks whether the backup was made with the key, and not changed by anybody who
// has not got it.
func (b *Backup) Belongs(kek *keyring.KEK) error {
	if kek.Fingerprint() != b.KEK {
		return &Problem{
			What: fmt.Sprintf("the backup is of a folder with another key (fingerprint %.16s, and this one is %s)", b.KEK, kek.Fingerprint()),
			Next: "give the file `kek` of that folder with --key",
		}
	}
	if !hmac.Equal(b.code, code(kek, b.sum)) {
		return &Problem{What: "the backup was changed by somebody who has not got its key", Next: "take another backup, and find out who can write to this one"}
	}
	return nil
}

// Open returns what a private file holds, given what the backup holds.
func (b *Backup) Open(kek *keyring.KEK, name string, content []byte) ([]byte, error) {
	if !b.Sealed || !isPrivate(name) {
		return content, nil
	}
	plain, err := kek.Open(content, sealContext(name))
	if err != nil {
		return nil, fmt.Errorf("open %s of the backup: %w", name, err)
	}
	return plain, nil
}

// Begins reports whether a file begins as backups do.
func Begins(start []byte) bool { return bytes.HasPrefix(start, []byte(magic)) }

// StartSize is how many bytes Begins needs.
const StartSize = len(magic)

func readHeader(r io.Reader) (h Header, err error) {
	var start [len(magic) + 8]byte
	if _, err := io.ReadFull(r, start[:]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return h, unreadable(err)
	}
	if !Begins(start[:]) {
		return h, &Problem{What: "the file is no backup of Rolecall's", Next: "name a file that `rolecall backup FILE` wrote"}
	}
	if version := binary.BigEndian.Uint32(start[len(magic):]); version != formatVersion {
		return h, &Problem{
			What: fmt.Sprintf("the backup has format %d, and this Rolecall reads format %d", version, formatVersion),
			Next: "restore it with the Rolecall that wrote it, or a newer one",
		}
	}
	length := binary.BigEndian.Uint32(start[len(magic)+4:])
	if length > maxHeader {
		return h, &Problem{What: fmt.Sprintf("the backup's header has %d bytes; %d are the most", length, maxHeader), Next: anotherBackup}
	}
	var encoded bytes.Buffer // which grows with what is there, not with what is promised
	if n, err := io.CopyN(&encoded, r, int64(length)); err != nil {
		if errors.Is(err, io.EOF) && n < int64(length) {
			err = io.ErrUnexpectedEOF
		}
		return h, unreadable(err)
	}
	body := json.NewDecoder(&encoded)
	body.DisallowUnknownFields()
	err = body.Decode(&h)
	if err == nil {
		if _, behind := body.Token(); !errors.Is(behind, io.EOF) {
			err = errors.New("something follows its JSON")
		}
	}
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return h, &Problem{What: "the backup's header cannot be used", Next: anotherBackup, Cause: err}
	}
	return h, nil
}

func unreadable(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Problem{What: "the backup ends in the middle", Next: anotherBackup}
	}
	return &Problem{What: "the backup cannot be read", Next: "look at the disk that it is on, or take another backup", Cause: err}
}

// summing counts what is read into a checksum.
type summing struct {
	r    io.Reader
	hash hash.Hash
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.hash.Write(p[:n])
	return n, err
}

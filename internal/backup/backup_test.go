package backup_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/backup"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

func kek(t testing.TB, fill byte) *keyring.KEK {
	t.Helper()
	k, err := keyring.KEKFromBytes(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const secret = "hunter2 hunter2 hunter2"

// contents are those of a small folder.
func contents() map[string]string {
	return map[string]string{
		backup.Database: strings.Repeat("page ", 100), backup.Key: strings.Repeat("\x07", 32), "ca.key": secret, "ca.pem": "a certificate",
		"credentials/c11e0001-5a5a-4c4c-8d8d-000000000001-KJ7Q2.secret": secret,
	}
}

var order = []string{backup.Key, "ca.key", "ca.pem", "credentials/c11e0001-5a5a-4c4c-8d8d-000000000001-KJ7Q2.secret", backup.Database}

func write(t testing.TB, sealed bool) []byte {
	t.Helper()
	var files []backup.File
	for _, name := range order {
		if name != backup.Key || !sealed {
			files = append(files, backup.Bytes(name, []byte(contents()[name])))
		}
	}
	var b bytes.Buffer
	header := backup.Header{Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "test", Sealed: sealed}
	if err := backup.Write(&b, header, kek(t, 7), files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(content []byte) (*backup.Backup, map[string]string, error) {
	files := map[string]string{}
	b, err := backup.Read(bytes.NewReader(content), func(entry backup.Entry, r io.Reader) error {
		all, err := io.ReadAll(r)
		files[entry.Name] = string(all)
		return err
	})
	return b, files, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	b, files, err := read(write(t, false))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files, contents()) {
		t.Errorf("got %q", files)
	}
	if err := b.Belongs(kek(t, 7)); err != nil {
		t.Error(err)
	}
	if b.Version != "test" || b.Created.Year() != 2026 || b.Sealed {
		t.Errorf("header %+v", b.Header)
	}
}

func TestWithoutTheKeyPrivateFilesAreSealed(t *testing.T) {
	content := write(t, true)
	if bytes.Contains(content, []byte(secret)) || bytes.Contains(content, bytes.Repeat([]byte{7}, 32)) {
		t.Error("a private file, or the key, is there to read")
	}
	b, files, err := read(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Belongs(kek(t, 7)); err != nil {
		t.Error(err)
	}
	for name, want := range contents() {
		if name == backup.Key {
			continue
		}
		got, err := b.Open(kek(t, 7), name, []byte(files[name]))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := b.Open(kek(t, 8), "ca.key", []byte(files["ca.key"])); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("another key: %v", err)
	}
	if _, err := b.Open(kek(t, 7), "ca.key", []byte(files[order[3]])); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("contents under another name: %v", err)
	}
}

func TestAnotherKeyDoesNotBelong(t *testing.T) {
	b, _, err := read(write(t, true))
	if err != nil {
		t.Fatal(err)
	}
	var problem *backup.Problem
	if err := b.Belongs(kek(t, 8)); !errors.As(err, &problem) || !strings.Contains(problem.Fix(), "--key") {
		t.Errorf("got %v", err)
	}
}

// TestAForgedChecksumDoesNotBelong changes a backup and its checksum, as somebody can who
// has the file but not the key.
func TestAForgedChecksumDoesNotBelong(t *testing.T) {
	content := write(t, true)
	other := write(t, true) // sealed anew, so other bytes and another checksum
	forged := append(bytes.Clone(other[:len(other)-32]), content[len(content)-32:]...)
	b, _, err := read(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Belongs(kek(t, 7)); err == nil || !strings.Contains(err.Error(), "changed by somebody") {
		t.Errorf("got %v", err)
	}
}

func TestEveryChangedBitIsNoticed(t *testing.T) {
	content := write(t, false)
	for i := range content {
		for _, bit := range []byte{1, 0x80} {
			changed := bytes.Clone(content)
			changed[i] ^= bit
			b, _, err := read(changed)
			if err == nil {
				err = b.Belongs(kek(t, 7))
			}
			if err == nil {
				t.Fatalf("byte %d: not noticed", i)
			}
			var problem *backup.Problem
			if !errors.As(err, &problem) || problem.What == "" || problem.Fix() == "" {
				t.Fatalf("byte %d: %v does not say what to do", i, err)
			}
		}
	}
}

func TestEveryLengthButItsOwnIsNoticed(t *testing.T) {
	content := write(t, false)
	for n := range content {
		if _, _, err := read(content[:n]); err == nil {
			t.Fatalf("%d of %d bytes: not noticed", n, len(content))
		}
	}
	if _, _, err := read(append(bytes.Clone(content), 0)); err == nil || !strings.Contains(err.Error(), "behind its end") {
		t.Errorf("a byte more: %v", err)
	}
}

// headed makes a backup's beginning of a header.
func headed(header string) []byte {
	b := binary.BigEndian.AppendUint32([]byte("rolecall backup\n"), 1)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(header))), header...)
}

func TestHeadersThatAreRefused(t *testing.T) {
	const key = `{"name":"kek","size":32}`
	many := strings.Repeat(key+",", 20_000) + key
	for _, tt := range []struct{ name, header, want string }{
		{"no JSON", `files`, "invalid character"},
		{"another member", `{"more":1,"files":[]}`, "unknown field"},
		{"something behind", `{"files":[` + key + `,{"name":"rolecall.db","size":1}]} {}`, "follows"},
		{"no database", `{"files":[` + key + `]}`, "no database"},
		{"no key", `{"files":[{"name":"rolecall.db","size":1}]}`, "truly"},
		{"sealed with its key", `{"sealed":true,"files":[` + key + `,{"name":"rolecall.db","size":1}]}`, "truly"},
		{"a file twice", `{"files":[` + key + `,` + key + `]}`, "twice"},
		{"too many files", `{"files":[` + many + `]}`, "the most"},
		{"a negative length", `{"files":[{"name":"kek","size":-1}]}`, "the most"},
		{"a long key", `{"files":[{"name":"kek","size":1048577}]}`, "the most"},
		{"a database beyond all disks", `{"files":[{"name":"rolecall.db","size":17592186044417}]}`, "the most"},
		{"a number beyond all", `{"files":[{"name":"rolecall.db","size":1e30}]}`, "cannot unmarshal"},
		{"a way out of the folder", `{"files":[{"name":"../kek","size":1}]}`, "none of a data folder"},
		{"a way out of credentials", `{"files":[{"name":"credentials/../kek.pem","size":1}]}`, "none of a data folder"},
		{"a hidden file", `{"files":[{"name":"credentials/.a.pem","size":1}]}`, "none of a data folder"},
		{"an absolute path", `{"files":[{"name":"/etc/passwd","size":1}]}`, "none of a data folder"},
		{"a folder of Windows", `{"files":[{"name":"credentials/a\\b.pem","size":1}]}`, "none of a data folder"},
		{"another program's file", `{"files":[{"name":"server.json","size":1}]}`, "none of a data folder"},
	} {
		_, _, err := read(headed(tt.header))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestBeginningsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		content    []byte
	}{
		{"nothing", "no backup", nil},
		{"another file", "no backup", []byte("SQLite format 3\x00 and more of that kind")},
		{"a later format", "format 2", []byte("rolecall backup\n\x00\x00\x00\x02\x00\x00\x00\x00")},
		{"a header longer than any", "the most", []byte("rolecall backup\n\x00\x00\x00\x01\xff\xff\xff\xff")},
		{"a header that is not there", "in the middle", []byte("rolecall backup\n\x00\x00\x00\x01\x00\x00\x10\x00{")},
	} {
		if _, _, err := read(tt.content); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	for _, files := range [][]backup.File{
		{backup.Bytes(backup.Key, nil)},
		{backup.Bytes(backup.Key, nil), backup.Bytes(backup.Database, nil), backup.Bytes("../x", nil)},
		{backup.Bytes(backup.Key, nil), {Name: backup.Database, Size: 5, Content: strings.NewReader("1234")}},
		{backup.Bytes(backup.Key, nil), {Name: backup.Database, Size: 5, Content: strings.NewReader("123456")}},
	} {
		if err := backup.Write(io.Discard, backup.Header{}, kek(t, 7), files); err == nil {
			t.Errorf("%v: written", files)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, false))
	f.Add(write(f, true))
	f.Add(headed(`{"files":[{"name":"kek","size":32},{"name":"rolecall.db","size":17592186044416}]}`))
	f.Add(headed(`{"files":[{"name":"credentials/../../kek","size":1}]}`))
	f.Add([]byte("rolecall backup\n\x00\x00\x00\x01\x00\x3f\xff\xff{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		b, files, err := read(content)
		if err != nil {
			if b != nil {
				t.Error("an error, and a backup")
			}
			return
		}
		total := 0
		for _, entry := range b.Files {
			if int64(len(files[entry.Name])) != entry.Size || strings.Contains(entry.Name, "..") {
				t.Errorf("file %+v has %d bytes", entry, len(files[entry.Name]))
			}
			total += len(files[entry.Name])
		}
		if total > len(content) {
			t.Errorf("%d bytes of %d", total, len(content))
		}
	})
}

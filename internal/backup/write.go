package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// A File is something to put into a backup.
type File struct {
	Name    string
	Size    int64
	Content io.Reader // of exactly that length
}

// Bytes makes a File of what is in memory.
func Bytes(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), Content: bytes.NewReader(content)}
}

// Write writes a backup of the files. With the header's Sealed, the private ones are sealed
// by the key, which must not be among them. Files and KEK of the header are set here.
func Write(w io.Writer, header Header, kek *keyring.KEK, files []File) error {
	header.KEK, header.Files = kek.Fingerprint(), make([]Entry, len(files))
	for i, file := range files {
		if header.Sealed && isPrivate(file.Name) {
			sealed, err := seal(kek, file)
			if err != nil {
				return err
			}
			file = sealed
			files[i] = sealed
		}
		header.Files[i] = Entry{file.Name, file.Size}
	}
	if err := header.check(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	hash := sha256.New()
	out := io.MultiWriter(w, hash)
	start := binary.BigEndian.AppendUint32([]byte(magic), formatVersion)
	start = binary.BigEndian.AppendUint32(start, uint32(len(encoded)))
	if _, err := out.Write(append(start, encoded...)); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	for _, file := range files {
		if err := writeFile(out, file); err != nil {
			return fmt.Errorf("write %s into the backup: %w", file.Name, err)
		}
	}
	sum := hash.Sum(nil)
	if _, err := w.Write(append(sum, code(kek, sum)...)); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

func writeFile(w io.Writer, file File) error {
	n, err := io.Copy(w, io.LimitReader(file.Content, file.Size+1))
	if err == nil && n != file.Size {
		err = fmt.Errorf("its length changed from %d bytes meanwhile", file.Size)
	}
	return err
}

func seal(kek *keyring.KEK, file File) (File, error) {
	plain, err := io.ReadAll(io.LimitReader(file.Content, maxFile))
	if err != nil {
		return File{}, fmt.Errorf("read %s for the backup: %w", file.Name, err)
	}
	sealed, err := kek.Seal(plain, sealContext(file.Name))
	if err != nil {
		return File{}, fmt.Errorf("seal %s for the backup: %w", file.Name, err)
	}
	return Bytes(file.Name, sealed), nil
}

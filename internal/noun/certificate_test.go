package noun

import (
	"testing"
)

// What is read as a certificate is one, whole; whatever else a file holds is refused in words.
func FuzzReadCertificate(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nbm9uZQ==\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"))
	f.Add([]byte{0x30, 0x82})
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := readCertificate("client.pem", content)
		if (found == nil) == (err == nil) || found != nil && len(found.Raw) == 0 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

package clientauth

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A certificate proves its client only where it is there to verify, and within the time that it
// counts, which may be shorter than the certificate's own.
func TestWhichCertificatesProve(t *testing.T) {
	t.Parallel()
	kept := directory.Certificate{SHA1: "print"}
	prints := thumbprints{sha1: "print"}
	if !prints.names(&kept) {
		t.Error("a certificate to verify with is not found")
	}
	kept.Usage = directory.CertificateSign
	if prints.names(&kept) {
		t.Error("a certificate to sign with proves a client")
	}
	day := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	parsed := &x509.Certificate{NotBefore: day, NotAfter: day.AddDate(0, 0, 10)}
	kept = directory.Certificate{ValidFrom: day.AddDate(0, 0, 2), ValidUntil: day.AddDate(0, 0, 5)}
	for after, counts := range map[int]bool{1: false, 3: true, 6: false} {
		if err := checkPeriod(&kept, parsed, prints, day.AddDate(0, 0, after)); (err == nil) != counts {
			t.Errorf("after %d days: %v", after, err)
		}
	}
}

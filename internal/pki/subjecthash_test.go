package pki_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

// The numbers are those that `openssl x509 -subject_hash` prints.
func TestSubjectHash(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		// /C=US/O=Internet Security Research Group/CN=ISRG Root X1
		"304f310b300906035504061302555331293027060355040a1320496e7465726e65742053656375726974792052657365617263682047726f7570311530130603550403130c4953524720526f6f74205831": "4042bcee",
	} {
		der, err := hex.DecodeString(subject)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pki.SubjectHash(der); err != nil || fmt.Sprintf("%08x", got) != want {
			t.Errorf("%s: got %08x, %v; want %s", subject, got, err, want)
		}
	}
}

// Spelling makes no difference to the number, and what is no name has none.
func TestSubjectHashOfSpellings(t *testing.T) {
	t.Parallel()
	name := func(tag int, value string) []byte {
		t.Helper()
		type attribute struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		set, err := asn1.MarshalWithParams([]attribute{{asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}}, "set")
		if err != nil {
			t.Fatal(err)
		}
		sequence, err := asn1.Marshal([]asn1.RawValue{{FullBytes: set}})
		if err != nil {
			t.Fatal(err)
		}
		return sequence
	}
	plain, err := pki.SubjectHash(name(asn1.TagUTF8String, "corp root"))
	if err != nil {
		t.Fatal(err)
	}
	for spelling, same := range map[string]bool{
		string(name(asn1.TagPrintableString, "Corp  Root ")):                                                                                      true,
		string(name(asn1.TagIA5String, "\tCORP root")):                                                                                            true,
		string(name(asn1.TagBMPString, "\x00c\x00o\x00r\x00p\x00 \x00r\x00o\x00o\x00t")):                                                          true,
		string(name(28, "\x00\x00\x00c\x00\x00\x00o\x00\x00\x00r\x00\x00\x00p\x00\x00\x00 \x00\x00\x00r\x00\x00\x00o\x00\x00\x00o\x00\x00\x00t")): true,
		string(name(asn1.TagUTF8String, "corproot")):                                                                                              false,
		string(name(asn1.TagOctetString, "corp root")):                                                                                            false,
	} {
		if got, err := pki.SubjectHash([]byte(spelling)); err != nil || got == plain != same {
			t.Errorf("%q: got %08x, %v; the same as %08x: want %t", spelling, got, err, plain, same)
		}
	}
	for _, bad := range []string{"", "\x30", "\x30\x00\x00", "\x30\x02\x30\x00", "\x30\x04\x31\x02\x30\x00", "\x02\x01\x01"} {
		if got, err := pki.SubjectHash([]byte(bad)); err == nil {
			t.Errorf("%x: got %08x, want an error", bad, got)
		}
	}
}

// Every certificate in the system's folder is found under the number that OpenSSL's tool gave it.
func TestSubjectHashOfTheSystem(t *testing.T) {
	t.Parallel()
	links, _ := filepath.Glob("/etc/ssl/certs/[0-9a-f]*.[0-9]")
	hashed := regexp.MustCompile(`^([0-9a-f]{8})\.[0-9]$`)
	checked := 0
	for _, link := range links {
		name := hashed.FindStringSubmatch(filepath.Base(link))
		content, err := os.ReadFile(link)
		if name == nil || err != nil || bytes.Count(content, []byte("BEGIN CERTIFICATE")) != 1 {
			continue
		}
		checked++
		if got, err := pki.SubjectHash(certificates(t, link)[0].RawSubject); err != nil || fmt.Sprintf("%08x", got) != name[1] {
			t.Errorf("%s: got %08x, %v", link, got, err)
		}
	}
	if checked == 0 {
		t.Skip("this system has no folder of hashed certificates")
	}
}

// OpenSSL says the same of a folder's own authority.
func TestSubjectHashOfOurs(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl to compare with")
	}
	ca := open(t, pki.Config{Dir: t.TempDir()})
	printed, err := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-subject_hash", "-in", ca.Path()).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pki.SubjectHash(ca.Certificate().RawSubject); err != nil || fmt.Sprintf("%08x", got) != strings.TrimSpace(string(printed)) {
		t.Errorf("got %08x, %v; openssl says %s", got, err, printed)
	}
}

// Whatever stands in a certificate's place, a subject is read or refused, and always alike.
func FuzzSubjectHash(f *testing.F) {
	f.Fuzz(func(t *testing.T, subject []byte) {
		first, err := pki.SubjectHash(subject)
		if err != nil {
			return
		}
		if again, err := pki.SubjectHash(bytes.Clone(subject)); err != nil || again != first {
			t.Errorf("got %08x, then %08x, %v", first, again, err)
		}
	})
}

package namespace

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func ask(t testing.TB, name string, kind dnsmessage.Type, opCode dnsmessage.OpCode) []byte {
	t.Helper()
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true, OpCode: opCode},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	packet, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func newResolver() *resolver {
	return &resolver{map[string]netip.Addr{"login.example.test": netip.MustParseAddr("127.0.0.2")}}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		kind   dnsmessage.Type
		op     dnsmessage.OpCode
		code   dnsmessage.RCode
		answer string
	}{
		{"login.example.test.", dnsmessage.TypeA, 0, dnsmessage.RCodeSuccess, "127.0.0.2"},
		{"LOGIN.example.test.", dnsmessage.TypeALL, 0, dnsmessage.RCodeSuccess, "127.0.0.2"},
		{"login.example.test.", dnsmessage.TypeAAAA, 0, dnsmessage.RCodeSuccess, ""},
		{"login.example.test.", dnsmessage.TypeTXT, 0, dnsmessage.RCodeSuccess, ""},
		{"localhost.", dnsmessage.TypeA, 0, dnsmessage.RCodeSuccess, "127.0.0.1"},
		{"localhost.", dnsmessage.TypeAAAA, 0, dnsmessage.RCodeSuccess, "::1"},
		{"other.example.test.", dnsmessage.TypeA, 0, dnsmessage.RCodeNameError, ""},
		{"x.login.example.test.", dnsmessage.TypeA, 0, dnsmessage.RCodeNameError, ""},
		{".", dnsmessage.TypeNS, 0, dnsmessage.RCodeNameError, ""},
		{"login.example.test.", dnsmessage.TypeA, 5, dnsmessage.RCodeNotImplemented, ""},
	} {
		var got dnsmessage.Message
		if err := got.Unpack(newResolver().answer(ask(t, tt.name, tt.kind, tt.op))); err != nil {
			t.Fatal(err)
		}
		address := ""
		for _, answer := range got.Answers {
			switch body := answer.Body.(type) {
			case *dnsmessage.AResource:
				address = netip.AddrFrom4(body.A).String()
			case *dnsmessage.AAAAResource:
				address = netip.AddrFrom16(body.AAAA).String()
			}
		}
		if got.ID != 7 || !got.Response || got.RCode != tt.code || address != tt.answer || len(got.Questions) != 1 {
			t.Errorf("%s %s: got %s", tt.name, tt.kind, got.GoString())
		}
	}
	for name, packet := range map[string][]byte{"nothing": {}, "half a header": {0, 7, 0}, "an answer": newResolver().answer(ask(t, "a.", dnsmessage.TypeA, 0))} {
		if got := newResolver().answer(packet); got != nil {
			t.Errorf("%s is answered: %x", name, got)
		}
	}
}

// Whatever a program sends to the name server, an answer is none, or one to that question.
func FuzzAnswer(f *testing.F) {
	f.Add(ask(f, "login.example.test.", dnsmessage.TypeA, 0))
	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := newResolver().answer(packet)
		if answer == nil {
			return
		}
		var got dnsmessage.Message
		if err := got.Unpack(answer); err != nil {
			t.Fatalf("an answer that cannot be read: %v", err)
		}
		if !got.Response || got.ID != uint16(packet[0])<<8|uint16(packet[1]) || len(got.Answers) > 1 {
			t.Errorf("got %s", got.GoString())
		}
	})
}

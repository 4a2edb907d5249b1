package guardserver

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// framed is a message with its prefix, which says another length where one is given.
func framed(message string, length ...int) string {
	said := len(message)
	if len(length) > 0 {
		said = length[0]
	}
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(said))) + message
}

// One message is read whole however it arrives, and nothing of one is left in the next.
func TestAMessageIsReadInWhateverPieces(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 5000)
	edge := large[:firstBuffer-messagePrefix] // fills the room
	s := &Server{}
	for _, tt := range []struct{ name, body, want, err string }{
		{"large", framed(large), large, ""},
		{"small", framed("check"), "check", ""},
		{"empty", framed(""), "", ""},
		{"as long as the room", framed(edge), edge, ""},
		{"one byte longer than the room", framed(edge + "x"), edge + "x", ""},
		{"nothing", "", "", "the call has no message"},
		{"part of a prefix", framed("")[:4], "", "the call has no message"},
		{"cut off", framed("check", 6), "", "the message is cut off"},
		{"cut off behind the room", framed(large, len(large)+1), "", "the message is cut off"},
		{"two", framed("check") + framed("check"), "", "the call has more than one message"},
		{"one more byte", framed("check") + "x", "", "the call has more than one message"},
		{"one more byte behind the room", framed(large) + "x", "", "the call has more than one message"},
		{"compressed", "\x01" + framed("check")[1:], "", "the message is compressed, which was not offered"},
		{"too long", framed("check", maxMessage+1), "", "the message is longer than 4194304 bytes: let Envoy send no body"},
	} {
		for way, body := range map[string]io.Reader{
			"at once": strings.NewReader(tt.body), "by bytes": iotest.OneByteReader(strings.NewReader(tt.body)),
			"by halves": iotest.HalfReader(strings.NewReader(tt.body)), "with the end": iotest.DataErrReader(strings.NewReader(tt.body)),
		} {
			got, err := s.readMessage(body)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if got != tt.want || said != tt.err {
				t.Errorf("%s, %s: %d bytes, %q; want %d bytes, %q", tt.name, way, len(got), said, len(tt.want), tt.err)
			}
		}
	}
}

// A body that breaks off is no message, even where as much has come as it should have.
func TestAMessageWhoseCallBreaksOff(t *testing.T) {
	t.Parallel()
	body := io.MultiReader(strings.NewReader(framed("check")), iotest.ErrReader(io.ErrUnexpectedEOF))
	if got, err := (&Server{}).readMessage(body); err == nil {
		t.Errorf("got %q", got)
	}
}

package remote

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// Errors that callers tell apart.
var (
	ErrInvalid     = errors.New("what was asked for makes no sense")
	ErrUnknown     = errors.New("no server of that name")
	ErrEnded       = errors.New("the sign-in has ended")
	ErrUnreachable = errors.New("the server was not reached")
	ErrRefused     = errors.New("the sign-in was refused")
)

// An Error says what happened and what to do. It wraps one of the errors above, if any fits.
type Error struct {
	what, fix string
	cause     error
}

func failure(cause error, fix, what string, args ...any) *Error {
	return &Error{fmt.Sprintf(what, args...), fix, cause}
}

func (e *Error) Error() string { return e.what }
func (e *Error) Unwrap() error { return e.cause }

// Fix says what to do next.
func (e *Error) Fix() string { return e.fix }

// unreached says why a request to a server got no answer. Again is the command that trusts other
// certificates from now on.
func unreached(url string, err error, again string) error {
	if _, known := errors.AsType[*Error](err); known || errors.Is(err, context.Canceled) {
		return err
	}
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		again, _, _ = strings.Cut(again, " --ca-bundle ") // it was another server's
		return failure(ErrUnreachable, "copy ca-bundle.pem from the server's data folder (`rolecall serve` says where it is) and name the copy: `"+again+" --ca-bundle FILE`",
			"the certificate of %s is signed by nobody that this machine trusts", url)
	}
	if other, is := errors.AsType[x509.HostnameError](err); is {
		return failure(ErrUnreachable, "use a name that the certificate has, or start the server with `--host NAME`",
			"the certificate of %s is for other names than %s", url, text.Shown(other.Host))
	}
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is {
		return failure(ErrUnreachable, "renew it on the server, and check the clocks of both machines", "the certificate of %s is not valid: %s", url, text.Shown(invalid.Error()))
	}
	why := "no answer"
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		why = fmt.Sprintf("nothing knows the name %s", text.Shown(dns.Name))
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		why = "no answer in time"
	case errors.As(err, &dial):
		why = text.Shown(dial.Err.Error())
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		why = "what answers there does not speak TLS"
	}
	return failure(ErrUnreachable, "check that the server runs, and that its URL and your network are right", "cannot reach %s: %s", url, why)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// The parts of an authority's refusal, wherever in a library's error they stand.
var (
	refusalText = regexp.MustCompile(`(AADSTS\d+: .*?) (?:Trace|Correlation) ID: `)
	refusalCode = regexp.MustCompile(`"error": ?"([a-z_]+)"`)
)

// A refusal is what an authority answered instead of a token.
type refusal struct{ code, text string }

// refusalOf finds the refusal in an error of Microsoft's library, whose text has whole answers and
// is never shown.
func refusalOf(err error) (refusal, bool) {
	words := err.Error()
	found := refusalText.FindStringSubmatch(words)
	if found == nil {
		return refusal{}, false
	}
	r := refusal{text: text.Line(found[1], maxRefusal)}
	if code := refusalCode.FindStringSubmatch(words); code != nil {
		r.code = code[1]
	}
	return r, true
}

const maxRefusal = 500

// ends reports whether what the server knows of the sign-in is gone or refused for good, so that
// only another sign-in helps.
func (r refusal) ends() bool {
	switch r.code {
	case "invalid_grant", "interaction_required", "consent_required", "invalid_client", "unauthorized_client":
		return true
	}
	return false
}

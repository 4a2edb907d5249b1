package credential

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// maxReason bounds the words of others that an Error repeats.
const maxReason = 400

// An Error says why a credential could not get a token. It holds no secret, assertion
// or token.
type Error struct {
	Credential string        // which one: "client secret", "ADAL", ...
	Code       string        // the authority's number, such as "AADSTS7000215"; may be empty
	OAuth      string        // the OAuth error code, such as "invalid_client"; may be empty
	Reason     string        // what was wrong, in the authority's words or those of the network
	Next       string        // what to do about it
	Status     int           // of the authority's answer; 0 when there was none
	RetryAfter time.Duration // how long the authority asks clients to wait; 0 when it does not say
	Err        error         // the cause: an *azidentity.AuthenticationFailedError, a network error, ...
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Credential + " credential: ")
	if e.OAuth != "" {
		b.WriteString(e.OAuth + ": ")
	}
	b.WriteString(e.Reason)
	if e.Next != "" {
		b.WriteString(" Next: " + e.Next)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// diagnose finds out what an error of a credential means.
func diagnose(name, host string, hide []string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		body, _ := runtime.Payload(failed.RawResponse) // without a body the status has to do
		return refused(name, host, hide, failed.RawResponse, body, err)
	}
	return &Error{Credential: name, Reason: sentence(conceal(plain(err), hide)), Next: networkAdvice(host, err), Err: err}
}

// plain is the text of an error without what Azure.Identity puts around it: the name of
// its type and a link.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), "To troubleshoot, visit")
	if kind, rest, found := strings.Cut(text, ": "); found && strings.HasSuffix(kind, "Credential") {
		return rest
	}
	return text
}

// refused makes an Error of an authority's answer (RFC 6749 section 5.2).
func refused(name, host string, hide []string, resp *http.Response, body []byte, cause error) *Error {
	e := &Error{
		Credential: name,
		Status:     resp.StatusCode,
		RetryAfter: retryAfter(resp.Header, time.Now()),
		Err:        cause,
	}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Message     string `json:"message"` // App Service's managed identity endpoint
		Codes       []int  `json:"error_codes"`
	}
	// An answer that is not JSON leaves all of these empty, which is the case below.
	_ = json.Unmarshal(body, &answer)
	for _, words := range []*string{&answer.Error, &answer.Description, &answer.Message} {
		*words = conceal(*words, hide)
	}
	e.OAuth = clean(answer.Error)
	e.Reason = firstOf(sentence(answer.Description), sentence(answer.Message),
		fmt.Sprintf("%s answered %d without saying why.", firstOf(host, "the endpoint"), resp.StatusCode))
	if len(answer.Codes) > 0 {
		e.Code = "AADSTS" + strconv.Itoa(answer.Codes[0])
	} else {
		e.Code = leadingCode(answer.Description)
	}
	e.Next = firstOf(advice(e.Code), statusAdvice(host, e))
	return e
}

// advice is the next step for what authorities refuse most.
func advice(code string) string {
	switch strings.TrimPrefix(code, "AADSTS") {
	case "7000215":
		return "configure the secret's value (not its id) as it was shown when it was made for this application."
	case "7000222":
		return "make a new secret for the application and configure it; this one has expired."
	case "700016":
		return "check the client id, and that the application is registered in this tenant."
	case "90002", "900023":
		return "check the tenant id and the authority host."
	case "500011", "50001":
		return "check the scope or resource: it must name an API by its application id or an identifier URI that exists in this tenant."
	case "1002012", "70011", "901002":
		return "ask for one API's default scope: its application id or identifier URI, then /.default."
	case "501051":
		return "assign an app role of the API to the client; this API admits only those who have an assignment."
	case "700027":
		return "register this certificate with the application, or use the one that is registered and has not expired."
	case "700024":
		return "set this machine's clock right; the assertion was not valid at the authority's time."
	case "700211", "700212", "700213", "7002138", "70021":
		return "compare the assertion's issuer, subject and audience with the application's federated credential, letter by letter."
	case "7000112":
		return "enable the application, or use another one."
	}
	return ""
}

// statusAdvice is the next step when the code tells nothing.
func statusAdvice(host string, e *Error) string {
	switch {
	case e.RetryAfter > 0:
		return fmt.Sprintf("wait %s before the next try, as the authority asks.", e.RetryAfter)
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return "try again in a while; the authority is overloaded or down."
	case e.Status == http.StatusNotFound, e.Status/100 == 3:
		return fmt.Sprintf("check that %s is a token authority.", firstOf(host, "the endpoint"))
	}
	return ""
}

// networkAdvice is the next step when there was no answer. Azure.Identity passes on the
// text of such errors but not the errors, so the text has to do as well.
func networkAdvice(host string, err error) string {
	text := err.Error()
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &unknown), strings.Contains(text, "signed by unknown authority"), strings.Contains(text, "certificate is not trusted"):
		return fmt.Sprintf("trust the authority's certificate: set %s (or Options.CABundle) to a PEM file of the CA that issued it.", envCABundle)
	case errors.As(err, &name), strings.Contains(text, "x509: certificate is valid for"):
		return "use a host name that the authority's certificate is made for."
	case errors.As(err, &dns), errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "connection refused"), strings.Contains(text, "no such host"):
		return fmt.Sprintf("check that the authority runs at %s, or set %s.", firstOf(host, "its endpoint"), envAuthorityHost)
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "deadline exceeded"):
		return fmt.Sprintf("check that %s can be reached from here.", firstOf(host, "the endpoint"))
	}
	return ""
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// leadingCode returns the number an error description begins with.
func leadingCode(description string) string {
	code, _, found := strings.Cut(description, ":")
	digits, aadsts := strings.CutPrefix(code, "AADSTS")
	if _, err := strconv.ParseUint(digits, 10, 32); !found || !aadsts || err != nil {
		return ""
	}
	return code
}

// sentence makes the words of others fit into one line of ours.
func sentence(text string) string {
	text = clean(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// clean folds white space, drops what could forge a line of a log, and cuts.
func clean(text string) string {
	if i := strings.Index(text, " Trace ID:"); i > 0 { // identifiers for the operator follow
		text = text[:i]
	}
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > maxReason {
		return string(runes[:maxReason]) + "…"
	}
	return text
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

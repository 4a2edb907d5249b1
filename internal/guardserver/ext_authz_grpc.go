package guardserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
)

// The calls that are answered. gRPC is HTTP/2 with five bytes before each message, and the
// messages that matter here have few members, so neither needs a library: those that there are
// would make the program larger by a quarter.
const (
	checkCall  = "/envoy.service.auth.v3.Authorization/Check"
	healthCall = "/grpc.health.v1.Health/Check"
)

// Status codes of gRPC.
const (
	grpcOK               = "0"
	grpcInvalidArgument  = "3"
	grpcNotFound         = "5"
	grpcPermissionDenied = "7"
	grpcUnimplemented    = "12"
	grpcUnavailable      = "14"
	grpcUnauthenticated  = "16"
)

// grpcCode is the status of an outcome.
func grpcCode(o guard.Outcome) string {
	switch o {
	case guard.Allow:
		return grpcOK
	case guard.BadRequest:
		return grpcInvalidArgument
	case guard.Unauthenticated:
		return grpcUnauthenticated
	case guard.Unavailable:
		return grpcUnavailable
	default:
		return grpcPermissionDenied
	}
}

// grpcMessage encodes a message for a header.
func grpcMessage(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// maxMessage is how long a message may be. Envoy sends no body unless it is told to.
const maxMessage = 4 << 20

// extAuthzGRPC is the form in which Envoy asks over gRPC.
func (s *Server) extAuthzGRPC(w http.ResponseWriter, r *http.Request, now *setup) {
	if !isGRPC(r) || r.Method != http.MethodPost {
		writeJSON(w, http.StatusUnsupportedMediaType, map[string]string{"error": "unsupported", "error_description": "This guard is asked over gRPC (mode ext-authz, dialect grpc)."})
		return
	}
	if r.URL.Path != checkCall && r.URL.Path != healthCall {
		grpcStatus(w, grpcUnimplemented, "there is no such call")
		return
	}
	if r.URL.Path == checkCall && !now.trusts(r) {
		d := s.refuse(r.Context(), r.Host, guard.Request{}, r.RemoteAddr, "the peer is none of trustedPeers, so it may not say which request is judged")
		s.end(&d, 0)
		grpcStatus(w, grpcCode(d.Outcome), d.Reason.Description())
		return
	}
	message, err := readMessage(r.Body)
	if err != nil {
		grpcStatus(w, grpcInvalidArgument, err.Error())
		return
	}
	if r.URL.Path == healthCall {
		s.grpcHealth(w, message)
		return
	}
	asked, err := parseCheckRequest(message)
	if err != nil {
		grpcStatus(w, grpcInvalidArgument, err.Error())
		return
	}
	j := s.judge(r.Context(), now, asked.host, asked.request(), asked.peer)
	s.end(&j, 0)
	grpcReply(w, j.checkResponse())
}

// request returns what was asked about, as a guard looks at it.
func (c *checkRequest) request() guard.Request {
	request := guard.Request{Method: c.method, Header: map[string][]string{}}
	request.Certificate, _ = guard.ForwardedCertificate(c.certificate)
	request.Path, request.Query, _ = strings.Cut(c.path, "?")
	for _, header := range c.headers {
		if strings.HasPrefix(header.name, ":") {
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(header.name)
		request.Header[name] = append(request.Header[name], header.value)
	}
	return request
}

// checkResponse is the answer to Envoy.
func (j *judged) checkResponse() []byte {
	code, _ := strconv.Atoi(grpcCode(j.Outcome)) // a number
	if !j.Allowed() {
		refusal := j.Answer()
		return encodeDenied(code, refusal.Status, refusal.Header, refusal.Body)
	}
	identity := j.identify()
	set := make(map[string]string, len(identity)+1)
	for name, value := range identity {
		set[strings.ToLower(name)] = value
	}
	if cookies, changed := j.cookies(); changed && cookies != "" {
		set["cookie"] = cookies
	}
	return encodeAllowed(set, j.removed(identity))
}

// grpcHealth answers grpc.health.v1.Health/Check.
func (s *Server) grpcHealth(w http.ResponseWriter, message []byte) {
	const serving, notServing = 1, 2
	service, err := parseHealthRequest(message)
	if err != nil {
		grpcStatus(w, grpcInvalidArgument, "the message is no HealthCheckRequest")
		return
	}
	if service != "" && service != "envoy.service.auth.v3.Authorization" {
		grpcStatus(w, grpcNotFound, "there is no such service")
		return
	}
	state := uint64(serving)
	if s.stopping.Load() {
		state = notServing
	}
	grpcReply(w, appendVarint(nil, 1, state))
}

const messagePrefix = 5

// readMessage reads the one message of a call.
func readMessage(body io.Reader) ([]byte, error) {
	var prefix [messagePrefix]byte
	if _, err := io.ReadFull(body, prefix[:]); err != nil {
		return nil, errors.New("the call has no message")
	}
	length := binary.BigEndian.Uint32(prefix[1:])
	switch {
	case prefix[0] != 0:
		return nil, errors.New("the message is compressed, which was not offered")
	case length > maxMessage:
		return nil, fmt.Errorf("the message is longer than %d bytes: let Envoy send no body", maxMessage)
	}
	message, err := io.ReadAll(io.LimitReader(body, int64(length)))
	if err != nil || len(message) < int(length) {
		return nil, errors.New("the message is cut off")
	}
	if n, _ := body.Read(prefix[:1]); n > 0 {
		return nil, errors.New("the call has more than one message")
	}
	return message, nil
}

// grpcReply sends the one message of an answer.
func grpcReply(w http.ResponseWriter, message []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	framed := binary.BigEndian.AppendUint32(make([]byte, 1, messagePrefix+len(message)), uint32(len(message)))
	_, _ = w.Write(append(framed, message...)) // a proxy that has gone needs no answer
	header.Set("Grpc-Status", grpcOK)
}

// grpcStatus sends an answer without a message.
func grpcStatus(w http.ResponseWriter, code, message string) {
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", code)
	header.Set("Grpc-Message", grpcMessage(message))
	w.WriteHeader(http.StatusOK)
}

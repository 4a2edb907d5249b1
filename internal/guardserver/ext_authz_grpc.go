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
	message, err := s.readMessage(r.Body)
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
	headers := c.joined
	if len(c.raw) > 0 {
		headers = c.raw
	}
	request := guard.Request{Method: c.method, Header: make(map[string][]string, len(headers))}
	request.Certificate, _ = guard.ForwardedCertificate(c.certificate)
	request.Path, request.Query, _ = strings.Cut(c.path, "?")
	values := make([]string, len(headers)) // of which most lines are one each
	for i, header := range headers {
		if strings.HasPrefix(header.name, ":") {
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(strings.ToLower(header.name))
		if lines, more := request.Header[name]; more {
			request.Header[name] = append(lines, header.value)
			continue
		}
		values[i] = header.value
		request.Header[name] = values[i : i+1 : i+1]
	}
	return request
}

// checkResponse is the answer to Envoy, behind room for the prefix of a message.
func (j *judged) checkResponse() []byte {
	if !j.Allowed() {
		code, _ := strconv.Atoi(grpcCode(j.Outcome)) // a number
		refusal := j.Answer()
		return encodeDenied(code, refusal.Status, refusal.Header, refusal.Body)
	}
	told := j.identify()
	remove, cookies := j.changes(told)
	set := make([]checkHeader, 0, len(told)+1)
	if cookies != "" {
		set = append(set, checkHeader{"cookie", cookies})
	}
	for _, t := range told {
		if t.said {
			set = append(set, checkHeader{t.lower, t.lines[0]})
		}
	}
	return encodeAllowed(set, remove)
}

// grpcHealth answers grpc.health.v1.Health/Check.
func (s *Server) grpcHealth(w http.ResponseWriter, message string) {
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
	grpcReply(w, appendVarint(make([]byte, messagePrefix), 1, state))
}

const (
	messagePrefix = 5
	firstBuffer   = 16 << 10 // bytes that are made room for before they are there
)

// readMessage reads the one message of a call. Each read of a body is told to the goroutine that
// serves the connection, so what has come is taken at once, with its prefix.
func (s *Server) readMessage(body io.Reader) (string, error) {
	room, ok := s.rooms.Get().(*[firstBuffer]byte)
	if !ok {
		room = new([firstBuffer]byte)
	}
	defer s.rooms.Put(room)
	n, err := io.ReadAtLeast(body, room[:], messagePrefix)
	if err != nil {
		return "", errors.New("the call has no message")
	}
	length := int64(binary.BigEndian.Uint32(room[1:]))
	switch {
	case room[0] != 0:
		return "", errors.New("the message is compressed, which was not offered")
	case length > maxMessage:
		return "", fmt.Errorf("the message is longer than %d bytes: let Envoy send no body", maxMessage)
	}
	var message strings.Builder
	message.Grow(int(min(length, firstBuffer)))
	message.Write(room[messagePrefix:n])
	// One byte more than there should be also reads the end of the body.
	rest := max(length-int64(message.Len()), 0)
	_, err = io.CopyBuffer(&message, io.LimitReader(body, rest+1), room[:])
	switch n := int64(message.Len()); {
	case err != nil || n < length:
		return "", errors.New("the message is cut off")
	case n > length:
		return "", errors.New("the call has more than one message")
	}
	return message.String(), nil
}

// grpcReply sends the one message of an answer. Nothing is sent that a client of gRPC has no use
// for: with the header that announces a trailer and the date, the answer cost a tenth more.
func grpcReply(w http.ResponseWriter, framed []byte) {
	binary.BigEndian.PutUint32(framed[1:messagePrefix], uint32(len(framed)-messagePrefix))
	header := w.Header()
	header["Content-Type"] = []string{"application/grpc"}
	header["Date"] = nil
	_, _ = w.Write(framed) // a proxy that has gone needs no answer
	header[http.TrailerPrefix+"Grpc-Status"] = []string{grpcOK}
}

// grpcStatus sends an answer without a message.
func grpcStatus(w http.ResponseWriter, code, message string) {
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", code)
	header.Set("Grpc-Message", grpcMessage(message))
	w.WriteHeader(http.StatusOK)
}

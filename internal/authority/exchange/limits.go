package exchange

import (
	"net/http"
	"time"
)

// What a request may weigh. Nothing larger is read.
const (
	MaxHeader = 32 << 10 // request line and headers, bytes
	MaxBody   = 64 << 10 // form body, bytes
	MaxFields = 64       // parameters in a form

)

// How long the parts of an exchange may take.
const (
	HeaderTimeout   = 5 * time.Second
	BodyTimeout     = 15 * time.Second
	ResponseTimeout = 30 * time.Second
	IdleTimeout     = 120 * time.Second
)

// serverSlack is what net/http adds to MaxHeaderBytes before it refuses.
const serverSlack = 4 << 10

// Limit sets the limits on a server that serves the authority: slow and oversized
// requests end before they reach a handler.
func Limit(server *http.Server) {
	server.MaxHeaderBytes = MaxHeader - serverSlack
	server.ReadHeaderTimeout = HeaderTimeout
	server.ReadTimeout = HeaderTimeout + BodyTimeout
	server.WriteTimeout = HeaderTimeout + BodyTimeout + ResponseTimeout
	server.IdleTimeout = IdleTimeout
}

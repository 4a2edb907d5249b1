package discovery

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

// ServicesPath is where a server of ours says that it is one, and where the rest of it is. No
// client of Microsoft's asks for it.
const ServicesPath = "/.well-known/rolecall"

// Services are the URLs of a server, without a slash at the end. What it has not is empty.
type Services struct {
	Authority       string `json:"authority"`
	Graph           string `json:"graph,omitempty"`
	ResourceManager string `json:"resourceManager,omitempty"`
}

// servicesDocument serves them to anybody: they are no secret, and are asked for before there is
// a token.
func (h *Handler) servicesDocument(_ context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	services := h.services
	services.Authority = x.Origin.BaseURL
	return exchange.JSON(services, exchange.NeverCached)
}

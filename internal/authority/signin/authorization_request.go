package signin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An authorizationRequest is what a client sends a browser with (RFC 6749 section 4.1.1,
// OpenID Connect Core section 3.1.2.1), once it is known where answers may go.
type authorizationRequest struct {
	redirectURI  string
	mode         string
	code         bool // of response_type
	idToken      bool
	mayIDToken   bool // the registration allows it
	state        string
	nonce        string
	challenge    string
	method       string
	key          string // that the client will prove at the token endpoint (dpop_jkt); empty: none
	prompt       []string
	hint         string // login_hint
	maxAge       int64  // seconds; negative: any
	scopes       scope.Requested
	clientInfo   bool
	publicClient bool
}

// destination reads where the answer to a request goes. A problem with that is for the
// person at the browser alone: nothing is sent to an address that is not registered.
func destination(f exchange.Form, client *directory.Instance) (*authorizationRequest, error) {
	uri := f["redirect_uri"]
	app := client.Application
	switch {
	case app == nil:
		return nil, aadsts.ClientUnknown(f["client_id"], string(client.Principal.Tenant))
	case uri == "":
		return nil, aadsts.Missing("redirect_uri")
	case !mayAnswerAt(app, uri):
		return nil, aadsts.Redirect(uri, f["client_id"])
	}
	r := &authorizationRequest{redirectURI: uri, mode: modeQuery, state: f["state"], publicClient: app.Public && !clientauth.HasCredential(app), mayIDToken: app.IDTokens}
	if strings.Contains(" "+f["response_type"]+" ", " id_token ") || strings.Contains(" "+f["response_type"]+" ", " token ") {
		r.mode = modeFragment
	}
	if mode := f["response_mode"]; mode == modeFragment || mode == modeFormPost || mode == modeQuery && r.mode == modeQuery {
		r.mode = mode
	}
	return r, nil
}

// read reads the rest of a request. Problems from here on are for the client to be told.
func (r *authorizationRequest) read(f exchange.Form, version int) error {
	if f["request"] != "" || f["request_uri"] != "" {
		return aadsts.RequestObject()
	}
	for _, step := range []func(exchange.Form) error{r.readResponse, r.readPrompt, r.readChallenge, r.readKey} {
		if err := step(f); err != nil {
			return err
		}
	}
	var err error
	r.scopes, err = scope.Parse(version, f["scope"], f["resource"])
	r.nonce, r.hint, r.clientInfo = f["nonce"], text.Line(f["login_hint"], text.MaxQuoted), f["client_info"] == "1"
	switch {
	case err != nil:
		return err
	case r.idToken && r.nonce == "":
		return aadsts.Missing("nonce")
	case r.idToken && !r.scopes.Has("openid"):
		return aadsts.ScopeSyntax(f["scope"])
	case len(r.nonce) > scope.MaxIdentifier || len(r.state) > maxState:
		return aadsts.Malformed("The parameter 'nonce' or 'state' is too long.")
	}
	return nil
}

// maxState is how much of their own clients may have carried along, in bytes.
const maxState = 8 << 10

func (r *authorizationRequest) readResponse(f exchange.Form) error {
	kinds := strings.Fields(f["response_type"])
	if len(kinds) == 0 {
		return aadsts.Missing("response_type")
	}
	for _, kind := range kinds {
		switch {
		case kind == "code" && !r.code:
			r.code = true
		case kind == "id_token" && !r.mayIDToken:
			return aadsts.IDTokenOff(f["client_id"])
		case kind == "id_token" && !r.idToken:
			r.idToken = true
		case kind == "token":
			return aadsts.FrontToken()
		default:
			return aadsts.ResponseType(f["response_type"])
		}
	}
	if mode := f["response_mode"]; mode != "" && mode != r.mode {
		return aadsts.ResponseMode(mode)
	}
	return nil
}

func (r *authorizationRequest) readPrompt(f exchange.Form) error {
	r.prompt = strings.Fields(f["prompt"])
	for _, prompt := range r.prompt {
		switch prompt {
		case "login", "consent", "select_account":
		case "none":
			if len(r.prompt) > 1 {
				return aadsts.Prompt(f["prompt"])
			}
		default:
			return aadsts.Prompt(f["prompt"])
		}
	}
	r.maxAge = -1
	if age := f["max_age"]; age != "" {
		seconds, err := strconv.ParseInt(age, 10, 64)
		if err != nil || seconds < 0 {
			return aadsts.Malformed("The parameter 'max_age' is not a number of seconds.")
		}
		r.maxAge = seconds
	}
	return nil
}

func (r *authorizationRequest) prompts(prompt string) bool { return slices.Contains(r.prompt, prompt) }

// readChallenge reads what protects the code (RFC 7636 section 4.3). Left out, the method
// is plain.
func (r *authorizationRequest) readChallenge(f exchange.Form) error {
	r.challenge, r.method = f["code_challenge"], f["code_challenge_method"]
	switch {
	case r.challenge == "" && r.method != "":
		return aadsts.Challenge()
	case r.challenge == "" && r.code && r.publicClient:
		return aadsts.ChallengeMissing(f["client_id"])
	case r.challenge == "":
		return nil
	}
	if r.method == "" {
		r.method = records.MethodPlain
	}
	if !records.IsChallenge(r.challenge, r.method) {
		return aadsts.Challenge()
	}
	return nil
}

// readKey reads the thumbprint of the key whose proof has to come with the code (RFC 9449
// section 10): without it, whoever gets hold of the code has no use for it.
func (r *authorizationRequest) readKey(f exchange.Form) error {
	thumbprint := f["dpop_jkt"]
	if thumbprint == "" {
		return nil
	}
	var ok bool
	if r.key, ok = issuance.ProofKey(thumbprint); !ok {
		return aadsts.ProofKey()
	}
	return nil
}

// reply is the answer that takes parameters to the client.
func (h *Handler) reply(q *authorizationRequest, parameters url.Values) (exchange.Answer, error) {
	if q.state != "" {
		parameters.Set("state", q.state)
	}
	if q.mode == modeFormPost {
		return h.pages.formPost(q.redirectURI, parameters)
	}
	return exchange.Answer{Status: http.StatusFound, Location: redirectTo(q.redirectURI, q.mode, parameters)}, nil
}

// refuse tells the client why it gets nothing (RFC 6749 section 4.1.2.1).
func (h *Handler) refuse(x *exchange.Exchange, q *authorizationRequest, why error) (exchange.Answer, error) {
	p := aadsts.Of(why)
	x.NoteRefusal(p)
	parameters := url.Values{"error": {p.OAuth}, "error_description": {x.Describe(p)}}
	if p.SubError != "" && p.OAuth == aadsts.InvalidGrant {
		parameters.Set("error", p.SubError)
	}
	if p.Code != 0 {
		parameters.Set("error_uri", x.ErrorURI(p))
	}
	return h.reply(q, parameters)
}

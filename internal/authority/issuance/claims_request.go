package issuance

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// A ClaimsRequest is what the parameter "claims" may ask of a token.
type ClaimsRequest struct {
	notBefore int64 // Unix seconds; a resource that revoked older tokens says so in its challenge
	cp1       bool  // the client understands such challenges
}

// from is when the token starts to be valid: a little before its issue, unless the
// resource refuses tokens as old as that.
func (r ClaimsRequest) from(now time.Time) int64 {
	return max(now.Add(-clockAllowance).Unix(), min(r.notBefore, now.Unix()))
}

// ParseClaimsRequest reads the parameter "claims" (OpenID Connect Core section 5.5). Members it
// does not know are ignored.
func ParseClaimsRequest(text string) (ClaimsRequest, error) {
	if text == "" {
		return ClaimsRequest{}, nil
	}
	var asked struct {
		AccessToken struct {
			NotBefore struct {
				Value json.RawMessage `json:"value"`
			} `json:"nbf"`
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	malformed := aadsts.Malformed("The parameter 'claims' is not a claims request in JSON.")
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		return ClaimsRequest{}, malformed
	}
	var r ClaimsRequest
	for _, capability := range asked.AccessToken.Capabilities.Values {
		r.cp1 = r.cp1 || strings.EqualFold(capability, "CP1")
	}
	if value := strings.Trim(string(asked.AccessToken.NotBefore.Value), `"`); value != "" && value != "null" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return ClaimsRequest{}, malformed
		}
		r.notBefore = seconds
	}
	return r, nil
}

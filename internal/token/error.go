package token

// Reasons an [Error] carries. They are part of the guard's contract with its
// users, who see them in answers, logs and metrics.
const (
	ReasonMalformed  = "token_malformed"
	ReasonEncrypted  = "token_encrypted"
	ReasonTooLarge   = "token_too_large"
	ReasonHeader     = "header_invalid"
	ReasonClaims     = "claims_invalid"
	ReasonAlgorithm  = "alg_not_allowed"
	ReasonKey        = "key_mismatch"
	ReasonSignature  = "signature_invalid"
	reasonJSON       = "json_invalid"
	reasonKeysFormat = "keys_invalid"
)

// An Error says why a token, a JSON object or a keys document was refused. It
// never contains any part of what was refused, so it can be logged and shown.
type Error struct {
	Reason string // a stable code, such as ReasonMalformed
	Detail string // the rule that was broken, in words
}

// Error returns the reason and the broken rule.
func (e *Error) Error() string { return e.Reason + ": " + e.Detail }

func refuse(reason, detail string) *Error { return &Error{Reason: reason, Detail: detail} }

package explain

// checkName is what people call a check of the guard.
func checkName(name string) string {
	if plain, ok := checkNames()[name]; ok {
		return plain
	}
	return name
}

// The checks of the guard of which package explain knows more than their outcome.
const (
	checkAudience = "made for this API"
	checkRights   = "allowed to call"
)

func checkNames() map[string]string {
	return map[string]string{
		"form": "complete token", "header": "header of the token", "key id": "name of the key", "issuer": "trusted issuer",
		"key": "key is published", "key use": "key is for signing", "signature": "signature", "expiry": "not expired",
		"start": "already valid", "lifetime": "lifetime", "audience": checkAudience, "version": "version fits the issuer",
		"tenant": "tenant", "access token": "is an access token", "caller": "says who calls", "binding": "binding to a key",
		"rights": checkRights,
	}
}

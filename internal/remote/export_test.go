package remote

import "net/http"

// Through lets requests to the server pass through what a test puts in between.
func (s *Server) Through(between func(http.RoundTripper) http.RoundTripper) {
	s.web.Transport = between(s.web.Transport)
}

// RefreshLife is how long a sign-in is taken to last.
const RefreshLife = refreshLife

// ParseState reads a state file.
func ParseState(b []byte) ([]Record, error) {
	s, err := parseState(b)
	if err != nil {
		return nil, err
	}
	return s.Servers, nil
}

// OpenSecrets reads a file of secrets and reports whether it could.
func OpenSecrets(key, b []byte) bool {
	_, err := openSecrets("team", key, b)
	return err == nil
}

// Drop takes an access token out of a cache of Microsoft's library.
func Drop(content []byte, token string) []byte {
	held := heldCache{content: content}
	held.drop(token)
	return held.content
}

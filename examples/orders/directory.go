package orders

import _ "embed"

//go:embed rolecall.yaml
var directory string

// Directory returns the sample's rolecall.yaml, which registers the API, the client and the
// role between them.
func Directory() string { return directory }

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// guardSettings reads the settings of an API from a guard.yaml; nil when none is named. Where
// the file has several APIs, the host says which is meant.
func (c explainer) guardSettings(file, host string) (*guardfile.API, error) {
	if file == "" {
		return nil, nil
	}
	content, err := c.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	settings, err := guardfile.Parse(file, content)
	if err != nil {
		return nil, err
	}
	apis := settings.APIs
	i := 0
	if len(apis) > 1 || host != "" {
		i = slices.IndexFunc(apis, func(a guardfile.API) bool { return strings.EqualFold(a.Host, host) })
	}
	if i < 0 {
		var hosts []string
		for _, a := range apis {
			hosts = append(hosts, a.Host)
		}
		return nil, failed("name one of them with --host: "+strings.Join(hosts, ", "), "%s has settings of %d APIs, and none is that of the host %q", file, len(apis), host)
	}
	return &apis[i], nil
}

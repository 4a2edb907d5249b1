package guardfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// MaxSize is how long a guard.yaml may be, in bytes.
const MaxSize = 1 << 20

// An API is what one guard protects, and how.
type API struct {
	Host      string // of its requests; empty: the only API of the file, for any host
	Authority string
	Audience  []string
	Caller    guard.CallerKind // empty: applications
	Rules     []guard.Rule     // the first that fits a request decides
}

// A Problem is something wrong in a guard.yaml, and where.
type Problem struct {
	File         string
	Line, Column int // 0: the file as a whole
	What         string
}

// Error gives the place and what is wrong there.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What)
}

// Parse reads a guard.yaml. What is wrong in it is reported all at once, as problems that are
// joined; their texts repeat no value but the names of members.
func Parse(name string, content []byte) ([]API, error) {
	r := &reader{file: text.Line(name, text.MaxQuoted)}
	if len(content) > MaxSize {
		r.problem(nil, "it is longer than %d bytes", MaxSize)
		return nil, r.err()
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		r.problem(nil, "it is no YAML: %s", strings.TrimPrefix(text.Line(err.Error(), text.MaxQuoted), "yaml: "))
		return nil, r.err()
	}
	if len(document.Content) == 0 {
		r.problem(nil, "it is empty; it needs authority, audience and rules")
		return nil, r.err()
	}
	apis := r.document(document.Content[0])
	return apis, r.err()
}

// The members. Those of a listener are known and not read.
var (
	apiMembers      = []string{"authority", "audience", "caller", "rules"}
	listenerMembers = []string{"listen", "mode", "dialect", "trustedPeers", "upstream", "tls", "caBundle", "identity", "forwardToken", "maxKeyAge", "stateDir", "revocation", "ops"}
	ruleMembers     = []string{"path", "methods", "roles", "allRoles", "scopes", "clients", "principals", "tenants", "caller", "anonymous", "shadow"}
)

// maxProblems is how many problems are reported.
const maxProblems = 20

// A reader turns nodes into settings and gathers what is wrong with them.
type reader struct {
	file     string
	problems []error
}

func (r *reader) problem(at *yaml.Node, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		return
	}
	p := &Problem{File: r.file, What: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	r.problems = append(r.problems, p)
}

func (r *reader) err() error { return errors.Join(r.problems...) }

// document reads the root: one API, or several by host.
func (r *reader) document(root *yaml.Node) []API {
	members := r.members(root, slices.Concat(apiMembers, listenerMembers, []string{"apis"}))
	several, ok := members["apis"]
	if !ok {
		return []API{r.api(root, members)}
	}
	for _, name := range apiMembers {
		if at, both := members[name]; both {
			r.problem(at, "%s stands beside apis: write it into each of them", name)
		}
	}
	var apis []API
	for _, node := range r.items(several) {
		one := r.members(node, slices.Concat(apiMembers, []string{"host", "upstream"}))
		api := r.api(node, one)
		if api.Host = r.text(one["host"]); api.Host == "" {
			r.problem(node, "host is missing: whose requests this is for")
		}
		apis = append(apis, api)
	}
	if len(apis) == 0 {
		r.problem(several, "apis is empty: one is needed at least")
	}
	return apis
}

func (r *reader) api(at *yaml.Node, members map[string]*yaml.Node) API {
	api := API{Authority: r.text(members["authority"]), Audience: r.texts(members["audience"]), Caller: r.caller(members["caller"])}
	if api.Authority == "" {
		r.problem(at, "authority is missing: the URL of the tenant that issues tokens")
	}
	if len(api.Audience) == 0 {
		r.problem(at, "audience is missing: the API's application id and its identifier URIs")
	}
	for _, node := range r.items(members["rules"]) {
		api.Rules = append(api.Rules, r.rule(node))
	}
	if len(api.Rules) == 0 {
		r.problem(at, "rules are missing: without one, nobody is let in")
	}
	return api
}

func (r *reader) rule(node *yaml.Node) guard.Rule {
	m := r.members(node, ruleMembers)
	rule := guard.Rule{
		Path: r.text(m["path"]), Methods: r.texts(m["methods"]), Roles: r.texts(m["roles"]), AllRoles: r.texts(m["allRoles"]), Scopes: r.texts(m["scopes"]),
		Clients: r.texts(m["clients"]), Principals: r.texts(m["principals"]), Tenants: r.texts(m["tenants"]), Caller: r.caller(m["caller"]), Anonymous: r.truth(m["anonymous"]),
	}
	r.truth(m["shadow"])
	if rule.Path == "" {
		r.problem(node, "path is missing: what the rule is for")
	}
	return rule
}

// members returns the members of a mapping by name, and reports those that are not known.
func (r *reader) members(node *yaml.Node, known []string) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if node.Kind != yaml.MappingNode {
		r.problem(node, "members are expected here: %s", strings.Join(known, ", "))
		return all
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, name):
			r.problem(key, "there is no member %q here: there are %s", text.Shown(name), strings.Join(known, ", "))
		case all[name] != nil:
			r.problem(key, "%s is given twice", name)
		default:
			all[name] = value
		}
	}
	return all
}

// items returns the elements of a list; a node that is not there has none.
func (r *reader) items(node *yaml.Node) []*yaml.Node {
	switch {
	case node == nil:
		return nil
	case node.Kind != yaml.SequenceNode:
		r.problem(node, "a list is expected here")
		return nil
	}
	return node.Content
}

func (r *reader) texts(node *yaml.Node) (all []string) {
	for _, item := range r.items(node) {
		if s := r.text(item); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// text reads a text; a node that is not there is an empty one.
func (r *reader) text(node *yaml.Node) string {
	switch {
	case node == nil:
		return ""
	case node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Tag == "!!bool":
		r.problem(node, "a text is expected here")
	case strings.TrimSpace(node.Value) == "":
		r.problem(node, "the text is empty")
	default:
		return node.Value
	}
	return ""
}

func (r *reader) truth(node *yaml.Node) bool {
	if node == nil {
		return false
	}
	if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
		r.problem(node, "true or false is expected here")
	}
	return node.Value == "true"
}

func (r *reader) caller(node *yaml.Node) guard.CallerKind {
	kind := guard.CallerKind(r.text(node))
	if known := []guard.CallerKind{"", guard.CallerApplication, guard.CallerUser, guard.CallerAny}; !slices.Contains(known, kind) {
		r.problem(node, "caller is one of application, user and any")
		return ""
	}
	return kind
}

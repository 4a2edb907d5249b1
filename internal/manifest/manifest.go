package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A File is a rolecall.yaml without formal faults.
type File struct {
	name    string
	tenants []*tenant
}

// The parts of a file. Members that the file leaves out are zero; place tells them from
// members that it sets to the zero value.
type (
	tenant struct {
		place
		name, id     string
		enabled      bool
		domains      []item
		policy       *policy          // appManagementPolicy
		groups       []*resourceGroup // resourceGroups
		applications []*application
		identities   []*identity
		hosts        []*host
		users        []*user
	}
	// A policy says which credentials the tenant's applications may be given.
	policy struct {
		place
		enabled          bool
		secretsForbidden bool
		secretLife       time.Duration // maxSecretLifetime
		certificateLife  time.Duration // maxCertificateLifetime
		settings         json.RawMessage
	}
	resourceGroup struct {
		place
		name, location string
		tags           map[string]string
	}
	application struct {
		place
		name, id, appID    string
		displayName        string
		uris               []item
		redirects          []item
		tokenVersion       int
		assignmentRequired bool
		enabled            bool
		public             bool
		strictAssertions   bool
		idTokens           bool
		registeredOnly     bool
		principal          principal
		uniqueName         string
		audience           string // signInAudience
		spa, native        []item // spaRedirectUris, nativeRedirectUris
		preAuthorized      []*preAuthorization
		remarks
		roles  []*role
		scopes []*scope
		claims []*claim
		keys
		federated   []*federated
		permissions []*permission
		assignments []*permission
		grants      []*permission // delegatedGrants
	}
	// A principal is what an application's service principal has of its own.
	principal struct {
		place
		id           string
		alternatives []item // alternativeNames
		remarks
		keys
	}
	// Keys are the secrets and certificates of an application or of a service principal.
	keys struct {
		secrets      []*secret
		certificates []*certificate
	}
	// Remarks are what applications, service principals and identities say to people and tools.
	remarks struct {
		description, notes string
		tags, owners       []item
		settings           json.RawMessage
	}
	// A preAuthorization lets a client use scopes without consent.
	preAuthorization struct {
		place
		client string
		scopes []item
	}
	role struct {
		place
		id, value                string
		displayName, description string
		enabled                  bool
		holders                  []item // members
	}
	scope struct {
		place
		id, value                string
		displayName, description string
		userDisplayName          string
		userDescription          string
		enabled                  bool
		consent                  string // whose it takes: consentAdmin or consentUser
	}
	claim struct {
		place
		name       string
		properties []item
	}
	secret struct {
		place
		name    string
		expires time.Time
		source
	}
	certificate struct {
		place
		name        string
		der         []byte
		usage       string
		from, until time.Time // validFrom, validUntil
	}
	federated struct {
		place
		name, issuer, subject, expression, audience, description string
		identity                                                 string // in place of issuer, subject and audience
	}
	// A permission of an application, an assignment, or a delegated grant.
	permission struct {
		place
		api      string
		roles    []item
		scopes   []item
		consent  bool
		disabled bool   // allowDisabled
		user     string // of a delegated grant that is for one
	}
	identity struct {
		place
		name, id, appID, kind, resourceID string
		displayName                       string
		enabled                           bool
		assignments                       []*permission
		federated                         []*federated
		alternatives                      []item
		location                          string
		resourceTags                      map[string]string
		remarks
	}
	host struct {
		place
		name, id, platform, listen, user, node string
		identities, names, from                []item
	}
	user struct {
		place
		principalName, id, displayName string
		enabled                        bool
		password                       *password
		directoryRoles                 []item
		settings                       json.RawMessage
		assignments                    []*permission
	}
	password struct {
		place
		source
	}
)

// Parse reads a file. Its name stands in errors, and the paths in it are relative to the
// folder in that name. The environment (os.LookupEnv) and readFile (os.ReadFile) supply
// secrets and certificates that the file refers to. The error is Problems, all there are.
func Parse(name string, content []byte, environment func(string) (string, bool), readFile func(string) ([]byte, error)) (*File, error) {
	d := &decoder{report: report{file: name}, environment: environment, readFile: readFile}
	root := d.document(content)
	if root == nil {
		return nil, d.err()
	}
	file := &File{name: name}
	d.object(root, schema{what: "the file", members: map[string]reader{
		"tenants": d.list(func(n *yaml.Node) { file.tenants = append(file.tenants, d.tenant(n)) }),
	}, required: []string{"tenants"}})
	d.unique(file)
	if err := d.err(); err != nil {
		return nil, err
	}
	return file, nil
}

// document parses the one document of a file.
func (d *decoder) document(content []byte) *yaml.Node {
	stream := yaml.NewDecoder(bytes.NewReader(content))
	var first, second yaml.Node
	switch err := stream.Decode(&first); {
	case errors.Is(err, io.EOF):
		d.add(position{1, 1}, "the file is empty.", "Begin it with tenants: and list at least one.")
		return nil
	case err != nil:
		d.syntax(err, content)
		return nil
	}
	switch err := stream.Decode(&second); {
	case errors.Is(err, io.EOF):
		return first.Content[0]
	case err != nil:
		d.syntax(err, content)
	default:
		d.add(positionOf(&second), "a second document begins.", "Keep one document to a file: put all tenants into one list.")
	}
	return nil
}

var (
	syntaxLine    = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	unknownAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// syntax reports what the YAML parser says, which knows lines but no columns.
func (d *decoder) syntax(err error, content []byte) {
	parts := syntaxLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if parts == nil {
		d.add(position{}, "this is no YAML.", "Check the whole file.")
		return
	}
	// The name of an alias may be a secret that begins with an asterisk.
	if alias := unknownAnchor.FindStringSubmatch(parts[2]); alias != nil {
		d.add(find(content, "*"+alias[1]), "an alias (*name) refers to nothing.", "Put text that begins with * in quotes.")
		return
	}
	line, _ := strconv.Atoi(parts[1]) // zero when it has none
	d.add(position{line: line}, fmt.Sprintf("this is no YAML: %s.", parts[2]), "Check the indentation and the quotes from here up.")
}

// find returns the place where a text first occurs.
func find(content []byte, text string) position {
	before, _, found := bytes.Cut(content, []byte(text))
	if !found {
		return position{}
	}
	line := bytes.Count(before, []byte("\n"))
	return position{line + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}
}

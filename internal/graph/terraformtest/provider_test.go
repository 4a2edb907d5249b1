package terraformtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An object is a JSON object, as it is sent or was read.
type object = map[string]any

type list = []any

// A provider speaks to the server as HashiCorp's providers do: azuread to Graph, azurerm to the
// resource manager.
type provider struct {
	client   *http.Client
	metadata string // where the providers find everything else: the resource manager

	tenant, clientID, secret string

	login, manager, graph string // from the metadata, without a slash at their end
	token                 string // for Graph
	managerToken          string
	caller                string // the object id of who the tokens are for
	claims                object // of the token for Graph
}

// start does what both providers do before anything else: it reads the metadata of the cloud,
// requests tokens, and reads who it is from the claims.
func (p *provider) start(t *testing.T) {
	t.Helper()
	answer := p.exchange(t, http.MethodGet, p.metadata+"/metadata/endpoints?api-version=2022-09-01", nil, nil, http.StatusOK)
	authentication, _ := answer["authentication"].(object)
	p.login = strings.TrimSuffix(text(authentication["loginEndpoint"]), "/")
	p.manager = strings.TrimSuffix(text(answer["resourceManager"]), "/")
	p.graph = strings.TrimRight(text(answer["microsoftGraphResourceId"]), "/")
	if text(answer["name"]) == "" || p.login == "" || p.manager == "" || p.graph == "" {
		t.Fatalf("the providers stop at this metadata: %v", answer)
	}
	audiences, _ := authentication["audiences"].(list)
	if len(audiences) == 0 {
		t.Fatalf("azurerm finds no audience in %v", answer)
	}
	p.token = p.tokenFor(t, p.graph)
	p.managerToken = p.tokenFor(t, strings.TrimRight(text(audiences[0]), "/"))
	p.claims = claimsOf(t, p.token)
	if p.caller = text(p.claims["oid"]); p.caller == "" {
		t.Fatalf("the token has no oid: %v", p.claims)
	}
}

// tokenFor requests a token for a resource. The members are those that the SDK sends, and no
// others.
func (p *provider) tokenFor(t *testing.T, resource string) string {
	t.Helper()
	return p.tokenAs(t, p.clientID, p.secret, resource+"/.default")
}

func (p *provider) tokenAs(t *testing.T, clientID, secret, scope string) string {
	t.Helper()
	form := url.Values{"client_id": {clientID}, "client_secret": {secret}, "grant_type": {"client_credentials"}, "scope": {scope}}
	headers := map[string]string{"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
	answer := p.exchange(t, http.MethodPost, p.login+"/"+p.tenant+"/oauth2/v2.0/token", headers, []byte(form.Encode()), http.StatusOK)
	return text(answer["access_token"])
}

func claimsOf(t *testing.T, token string) object {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("the token has not three parts")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims object
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// The statuses that the SDK takes for success. It accepts more than any server sends.
var (
	created = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
	updated = []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent}
	deleted = []int{http.StatusOK, http.StatusNoContent}
)

// get reads one object.
func (p *provider) get(t *testing.T, path string) object {
	t.Helper()
	return p.toGraph(t, http.MethodGet, path, nil, http.StatusOK)
}

// list reads a collection, with all its pages.
func (p *provider) list(t *testing.T, path string, options ...string) (all []object) {
	t.Helper()
	at := path
	if len(options) > 0 {
		query := url.Values{}
		for i := 0; i < len(options); i += 2 {
			query.Set(options[i], options[i+1])
		}
		at += "?" + query.Encode() // $filter is %24filter, and a space is a plus
	}
	for at != "" {
		page := p.toGraph(t, http.MethodGet, at, nil, http.StatusOK)
		value, ok := page["value"].(list)
		if !ok {
			t.Fatalf("%s has no list: %v", at, page)
		}
		for _, v := range value {
			all = append(all, v.(object))
		}
		at = text(page["@odata.nextLink"])
	}
	return all
}

func (p *provider) post(t *testing.T, path string, body object) object {
	t.Helper()
	return p.toGraph(t, http.MethodPost, path, body, created...)
}

func (p *provider) patch(t *testing.T, path string, body object) {
	t.Helper()
	p.toGraph(t, http.MethodPatch, path, body, updated...)
}

func (p *provider) remove(t *testing.T, path string) {
	t.Helper()
	p.toGraph(t, http.MethodDelete, path, nil, deleted...)
}

// inARow is how often the provider wants to see the same before it believes it.
const inARow = 5

// gone waits, as the provider does after it deleted something, until it is not found.
func (p *provider) gone(t *testing.T, path string) {
	t.Helper()
	absent := regexp.MustCompile(`^Resource '.+' does not exist or one of its queried reference-property objects are not present`)
	for range inARow {
		answer := p.toGraph(t, http.MethodGet, path, nil, http.StatusNotFound)
		refusal, _ := answer["error"].(object)
		if refusal["code"] != "Request_ResourceNotFound" || !absent.MatchString(text(refusal["message"])) {
			t.Fatalf("GET %s: %v, want what the provider knows for not found", path, answer)
		}
	}
}

// toGraph sends a request to Graph with the SDK's headers. A path without a version is one of
// version 1.0; a link is followed as it is.
func (p *provider) toGraph(t *testing.T, method, path string, body object, want ...int) object {
	t.Helper()
	at := path
	switch {
	case strings.HasPrefix(path, "/beta/"):
		at = p.graph + path
	case strings.HasPrefix(path, "/"):
		at = p.graph + "/v1.0" + path
	case !strings.HasPrefix(path, p.graph+"/"):
		t.Fatalf("%s leads away from Graph", path)
	}
	content := []byte(nil)
	if body != nil {
		content = marshal(t, body)
	}
	return p.exchange(t, method, at, p.headers("application/json; charset=utf-8"), content, want...)
}

func (p *provider) headers(contentType string) map[string]string {
	return map[string]string{
		"Accept":                      "application/json; charset=utf-8; IEEE754Compatible=false",
		"Authorization":               "Bearer " + p.token,
		"Content-Type":                contentType,
		"OData-MaxVersion":            "4.0",
		"OData-Version":               "4.0",
		"User-Agent":                  "HashiCorp/go-azure-sdk (Go-http-Client/1.1 MicrosoftGraph-applications/v1.0) HashiCorp Terraform/1.11.4 (+https://www.terraform.io) terraform-provider-azuread/3.0.0",
		"X-Ms-Correlation-Request-Id": "6b5b7b0d-7c3a-4a50-9a53-0c1f1f9f3a11",
	}
}

// setLogo uploads a picture.
func (p *provider) setLogo(t *testing.T, path string, picture []byte) {
	t.Helper()
	p.exchange(t, http.MethodPut, p.graph+"/v1.0"+path, p.headers("image/png"), picture, created...)
}

// toManager sends a request to the resource manager.
func (p *provider) toManager(t *testing.T, method, path string, body object, want ...int) object {
	t.Helper()
	headers := map[string]string{
		"Accept": "application/json", "Authorization": "Bearer " + p.managerToken, "Content-Type": "application/json; charset=utf-8",
		"User-Agent": "HashiCorp/go-azure-sdk (Go-http-Client/1.1 managedidentity/2024-11-30) HashiCorp Terraform/1.11.4",
	}
	content := []byte(nil)
	if body != nil {
		content = marshal(t, body)
	}
	return p.exchange(t, method, p.manager+path, headers, content, want...)
}

func marshal(t *testing.T, body object) []byte {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// exchange sends a request and returns the body of the answer, which must have one of the
// statuses. The SDK reads bodies by their media type, and stops at any other than these.
func (p *provider) exchange(t *testing.T, method, at string, headers map[string]string, body []byte, want ...int) object {
	t.Helper()
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, at, content)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(want, response.StatusCode) {
		if strings.HasSuffix(at, "/token") {
			answer = []byte("(not shown)")
		}
		t.Fatalf("%s %s: %d, want one of %d\n%s", method, at, response.StatusCode, want, answer)
	}
	if len(answer) == 0 {
		return nil
	}
	if media := response.Header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") {
		t.Fatalf("%s %s: the SDK does not read %q", method, at, media)
	}
	var parsed object
	if err := json.Unmarshal(answer, &parsed); err != nil {
		t.Fatalf("%s %s: %v", method, at, err)
	}
	return parsed
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// sets are the members that the provider takes for sets. All other collections have an order,
// and a plan shows when it changes.
var sets = map[string]bool{
	"allowedMemberTypes": true, "alternativeNames": true, "appRoles": true, "delegatedPermissionIds": true, "identifierUris": true,
	"knownClientApplications": true, "notificationEmailAddresses": true, "oauth2PermissionScopes": true, "owners": true,
	"preAuthorizedApplications": true, "redirectUris": true, "requiredResourceAccess": true, "tags": true,
}

// plan returns what a plan would show: the members of a configuration that are not so in what
// was read. What is empty, false or null is the same as what is not there.
func plan(wanted, read object) (changes []string) {
	for _, member := range slices.Sorted(maps.Keys(wanted)) {
		if strings.Contains(member, "@odata.") {
			continue
		}
		changes = append(changes, difference(member, wanted[member], read[member])...)
	}
	return changes
}

func difference(member string, wanted, read any) []string {
	if blank(wanted) && blank(read) {
		return nil
	}
	switch want := wanted.(type) {
	case object:
		if read, ok := read.(object); ok {
			changes := plan(want, read)
			for i := range changes {
				changes[i] = member + "." + changes[i]
			}
			return changes
		}
	case list:
		if read, ok := read.(list); ok && len(read) == len(want) && sameElements(member, want, read) {
			return nil
		}
	default:
		if wanted == read {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: %v -> %v", member, read, wanted)}
}

func sameElements(member string, wanted, read list) bool {
	left := slices.Clone(read)
	for i, want := range wanted {
		same := func(got any) bool { return len(difference(member, want, got)) == 0 }
		if !sets[member] {
			if !same(read[i]) {
				return false
			}
			continue
		}
		at := slices.IndexFunc(left, same)
		if at < 0 {
			return false
		}
		left = slices.Delete(left, at, at+1)
	}
	return true
}

// blank reports whether the provider reads a value as not set.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case list:
		return len(v) == 0
	case object:
		for _, member := range v {
			if !blank(member) {
				return false
			}
		}
		return true
	}
	return false
}

// noChanges holds that a plan shows nothing.
func noChanges(t *testing.T, what string, wanted, read object) {
	t.Helper()
	for _, change := range plan(normal(t, wanted), read) {
		t.Errorf("a plan would change %s: %s", what, change)
	}
}

// normal gives a configuration the types that it has when it is read from JSON.
func normal(t *testing.T, wanted object) (read object) {
	t.Helper()
	if err := json.Unmarshal(marshal(t, wanted), &read); err != nil {
		t.Fatal(err)
	}
	return read
}

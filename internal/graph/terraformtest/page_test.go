package terraformtest

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const page = "../../../docs/terraform.md"

// A request is one of the requests on the page, in the format of REST clients: comments, a line with method and
// address, headers, and after an empty line a body.
type request struct {
	name            string // lends members of its answer to the requests after it; may be empty
	want            int    // the status; zero: any that stands for success
	method, address string
	headers         [][2]string
	body            string
}

// requestsOf reads the requests on the page.
func requestsOf(t *testing.T) (all []request) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```http\n(.*?)```").FindAllSubmatch(text, -1) {
		var r request
		head, body, _ := strings.Cut(string(block[1]), "\n\n")
		r.body = strings.TrimSpace(body)
		for line := range strings.Lines(head) {
			line = strings.TrimSpace(line)
			name, value, isHeader := strings.Cut(line, ": ")
			switch {
			case strings.HasPrefix(line, "# @name "):
				r.name = strings.TrimPrefix(line, "# @name ")
			case strings.HasPrefix(line, "# answers "):
				if r.want, err = strconv.Atoi(strings.TrimPrefix(line, "# answers ")); err != nil {
					t.Fatal(err)
				}
			case r.method == "":
				r.method, r.address, _ = strings.Cut(line, " ")
			case isHeader:
				r.headers = append(r.headers, [2]string{name, value})
			default:
				t.Fatalf("this line is none of a request: %s", line)
			}
		}
		all = append(all, r)
	}
	return all
}

var variable = regexp.MustCompile(`\{\{([^}]+)\}\}`)

// TestTerraformPage sends the requests of docs/terraform.md, one after the other.
func TestTerraformPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login = w.server.Endpoints().Authority
	requests := requestsOf(t)
	if len(requests) < 15 {
		t.Fatalf("found %d requests on the page", len(requests))
	}
	given := map[string]string{
		"arm": w.metadata, "authority": w.login, "tenant": w.tenant, "clientId": w.clientID, "clientSecret": w.secret,
	}
	answers := map[string]any{}
	fill := func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(reference string) string {
			name := reference[2 : len(reference)-2]
			if value, ok := given[name]; ok {
				return value
			}
			from, path, ok := strings.Cut(name, ".response.body.$")
			if !ok || answers[from] == nil {
				t.Fatalf("the page does not say what %s is", reference)
			}
			return member(t, answers[from], path)
		})
	}
	for _, r := range requests {
		answer := w.sendPage(t, r, fill)
		if r.name != "" {
			answers[r.name] = answer
		}
		switch r.name {
		case "metadata": // as the text says
			given["graphResource"] = member(t, answer, ".microsoftGraphResourceId")
			given["armResource"] = strings.TrimSuffix(member(t, answer, ".authentication.audiences[0]"), "/")
		case "api":
			given["orders"] = strings.TrimSuffix(w.serveOrders(t, member(t, answer, ".appId")), "/api/GetOrders")
		}
	}
	if status := w.call(t, given["orders"]+"/api/GetOrders", w.identityToken(t, "orders-identity")); status != http.StatusOK {
		t.Errorf("the identity gets %d", status)
	}
}

// sendPage sends one request of the page and returns its answer.
func (w *world) sendPage(t *testing.T, r request, fill func(string) string) (answer any) {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), r.method, fill(r.address), strings.NewReader(fill(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range r.headers {
		sent.Header.Set(header[0], fill(header[1]))
	}
	response, err := w.client.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if good := response.StatusCode < http.StatusBadRequest; response.StatusCode != r.want && (r.want != 0 || !good) {
		t.Fatalf("%s %s: %d, want %d\n%s", r.method, r.address, response.StatusCode, r.want, content)
	}
	if err := json.Unmarshal(content, &answer); err != nil && r.name != "" {
		t.Fatalf("%s %s: %v", r.method, r.address, err)
	}
	return answer
}

// member follows a path such as .value[0].id.
func member(t *testing.T, in any, path string) string {
	t.Helper()
	for _, step := range regexp.MustCompile(`\.(\w+)|\[(\d+)\]`).FindAllStringSubmatch(path, -1) {
		switch at := in.(type) {
		case object:
			in = at[step[1]]
		case list:
			if n, err := strconv.Atoi(step[2]); err == nil && n < len(at) {
				in = at[n]
			}
		}
	}
	value, ok := in.(string)
	if !ok {
		t.Fatalf("an answer has no %s", path)
	}
	return value
}

// TestTerraformConfiguration holds that the configuration and the requests on the page are about the same.
func TestTerraformConfiguration(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("there is no configuration on the page")
	}
	requests := ""
	for _, r := range requestsOf(t) {
		requests += r.address + r.body
	}
	values := regexp.MustCompile(`(?m)^\s+(?:id|value|name|display_name|description|identifier_uris|allowed_member_types)\s+= \[?"([^"]+)"\]?$`)
	found := values.FindAllSubmatch(block[1], -1)
	if len(found) < 9 {
		t.Errorf("found %d values in the configuration", len(found))
	}
	for _, value := range found {
		if !strings.Contains(requests, string(value[1])) {
			t.Errorf("%q of the configuration is in no request", value[1])
		}
	}
}

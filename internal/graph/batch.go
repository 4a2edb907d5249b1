package graph

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const batchPath = "$batch"

// batchRoutes is the route of requests within a request.
func batchRoutes() []route {
	return []route{{http.MethodPost, batchPath, anybody(), batch}}
}

// anybody admits every caller: each request of a batch is admitted by itself.
func anybody() *permit { return &permit{permissions: [][]string{{}}} }

const maxBatch = 20 // requests

// A batched request is one of a batch.
type batched struct {
	id, method, url string
	header          http.Header
	body            any // as sent; nil: none
	needs           []string
	status          int // once it was answered
}

// batch answers several requests, each as if it were alone, in the order in which they need
// each other. The caller is that of the batch: what one of them says about it counts for nothing.
func batch(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	all, err := readBatch(given)
	if err != nil {
		return answer{}, err
	}
	answered := map[string]int{}
	var responses []object
	for len(responses) < len(all) {
		before := len(responses)
		for _, one := range all {
			if one.status != 0 || slices.ContainsFunc(one.needs, func(id string) bool { return answered[id] == 0 }) {
				continue
			}
			if slices.ContainsFunc(one.needs, func(id string) bool { return answered[id] >= http.StatusBadRequest }) {
				responses = append(responses, refuseInner(c, one, &problem{
					status: http.StatusFailedDependency, code: "FailedDependency", message: "A request that this one depends on failed.",
				}))
			} else {
				responses = append(responses, answerInner(c, one))
			}
			answered[one.id] = one.status
		}
		if len(responses) == before {
			return answer{}, invalid("dependsOn", "The requests depend on each other in a circle.")
		}
	}
	return answer{status: http.StatusOK, body: object{{"responses", responses}}}, nil
}

func readBatch(given body) ([]*batched, error) {
	value := given.get("requests")
	all, err := each(input{"requests", value}, readBatched)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, invalid("requests", "A batch has one request at least.")
	case len(all) > maxBatch:
		return nil, invalid("requests", "Too many requests: a batch has 20 at most.")
	}
	known := map[string]bool{}
	for _, one := range all {
		if known[one.id] {
			return nil, invalid("id", "The id "+quote(one.id)+" is that of two requests.")
		}
		known[one.id] = true
	}
	for _, one := range all {
		for _, id := range one.needs {
			if !known[id] || id == one.id {
				return nil, invalid("dependsOn", "The request "+quote(one.id)+" depends on "+quote(id)+", which is not another one of the batch.")
			}
		}
	}
	return all, nil
}

func readBatched(in input) (*batched, error) {
	b := &batched{header: http.Header{}}
	err := apply([]field[*batched]{
		{name: "id", write: func(b *batched, in input) (err error) { b.id, err = in.text(); return err }},
		{name: "method", write: func(b *batched, in input) (err error) { b.method, err = in.text(); return err }},
		{name: "url", write: func(b *batched, in input) (err error) { b.url, err = in.text(); return err }},
		{name: "dependsOn", write: needing},
		{name: "depends_on", write: needing}, // the SDK for Python writes it so, empty, too
		{name: "body", write: func(b *batched, in input) error { b.body = in.value; return nil }},
		{name: "headers", write: func(b *batched, in input) error {
			if in.value == nil {
				return nil
			}
			all, err := in.object()
			for _, one := range all {
				value, err := one.text()
				if err != nil {
					return err
				}
				b.header.Set(strings.TrimPrefix(one.path, in.path+"."), value)
			}
			return err
		}},
	}, b, in)
	b.method = strings.ToUpper(b.method)
	switch {
	case err != nil:
		return nil, err
	case b.id == "" || b.url == "":
		return nil, in.wrong("an object with id, method and url")
	case !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}, b.method):
		return nil, invalid(in.path+".method", "The method "+quote(b.method)+" is not supported.")
	}
	return b, nil
}

// needing reads on which requests another depends.
func needing(b *batched, in input) error {
	ids, err := in.texts()
	b.needs = append(b.needs, ids...)
	return err
}

// innerRequest makes the HTTP request that one of a batch stands for.
func innerRequest(c *call, b *batched) (*http.Request, error) {
	// The SDK for Python writes whole URLs. Those that are not of this API are refused.
	parsed, err := url.Parse(strings.TrimPrefix(b.url, strings.TrimSuffix(c.api.cfg.URL, "/")))
	if err != nil || parsed.IsAbs() || parsed.Host != "" || strings.HasPrefix(b.url, "//") || parsed.Fragment != "" {
		return nil, invalid("url", "The URL "+quote(b.url)+" is not relative to the version, as /applications is.")
	}
	content, err := b.content()
	if err != nil {
		return nil, err
	}
	relative := strings.TrimLeft(parsed.EscapedPath(), "/")
	// The client for JavaScript cuts off the host alone, and leaves the version in front.
	if first, rest, _ := strings.Cut(relative, "/"); strings.EqualFold(first, c.version) {
		relative = rest
	}
	if c.dryRun && !strings.HasPrefix(strings.ToLower(relative), strings.ToLower(dryRun)+"/") {
		relative = dryRun + "/" + relative
	}
	path := "/" + c.version + "/" + relative
	if parsed.RawQuery != "" {
		path += "?" + parsed.RawQuery
	}
	inner, err := http.NewRequestWithContext(c.ctx(), b.method, path, bytes.NewReader(content))
	if err != nil {
		return nil, invalid("url", "The URL "+quote(b.url)+" is malformed.")
	}
	for _, name := range []string{"Content-Type", "Prefer", "ConsistencyLevel"} {
		if value := b.header.Get(name); value != "" {
			inner.Header.Set(name, value)
		}
	}
	if parsedPath, err := parsePath(inner.URL); err == nil && len(parsedPath.segments) > 0 && parsedPath.segments[0].name == batchPath {
		return nil, invalid("url", "A batch within a batch is not supported.")
	}
	return inner, nil
}

// content is the body's bytes: JSON as it is, anything else in base64.
func (b *batched) content() ([]byte, error) {
	if b.body == nil {
		return nil, nil
	}
	kind := b.header.Get("Content-Type")
	if kind == "" {
		return nil, invalid("headers", "A request with a body has a header Content-Type.")
	}
	if written, is := b.body.(string); is && !strings.Contains(strings.ToLower(kind), "json") {
		content, err := base64.StdEncoding.DecodeString(written)
		if err != nil {
			return nil, invalid("body", "A body that is not JSON is a string in base64.")
		}
		return content, nil
	}
	var content bytes.Buffer
	err := encode(&content, b.body)
	return content.Bytes(), err
}

// answerInner lets one request of a batch be answered.
func answerInner(c *call, b *batched) object {
	inner, err := innerRequest(c, b)
	if err != nil {
		return refuseInner(c, b, err)
	}
	given, err := c.api.dispatch(inner, newRequestIDs(inner.Header), c.caller)
	if err != nil {
		return refuseInner(c, b, err)
	}
	return respond(c, b, inner, given)
}

func refuseInner(c *call, b *batched, err error) object {
	return respond(c, b, c.request, c.api.refusal(c.request, newRequestIDs(http.Header{}), err))
}

// respond words an answer as a part of the batch's.
func respond(c *call, b *batched, inner *http.Request, given answer) object {
	header := http.Header{}
	for name, values := range given.header {
		header[name] = values
	}
	content, err := c.api.encodeAnswer(inner, &given, header)
	if err != nil {
		given = c.api.refusal(inner, c.ids, err)
		content, _ = c.api.encodeAnswer(inner, &given, header) // an error is a plain object
	}
	b.status = given.status
	if given.location != "" {
		header.Set("Location", given.location)
	}
	var headers object
	for _, name := range []string{"Content-Type", "Location", "Retry-After", "Allow"} {
		if value := header.Get(name); value != "" {
			headers = append(headers, member{name, value})
		}
	}
	if headers == nil {
		headers = object{}
	}
	o := object{{"id", b.id}, {"status", given.status}, {"headers", headers}}
	switch kind := header.Get("Content-Type"); {
	case len(content) == 0:
		o = append(o, member{"body", nil})
	case strings.HasPrefix(kind, "application/json"):
		o = append(o, member{"body", json.RawMessage(content)})
	case strings.HasPrefix(kind, "text/plain"):
		o = append(o, member{"body", string(content)})
	default:
		o = append(o, member{"body", base64.StdEncoding.EncodeToString(content)})
	}
	return o
}

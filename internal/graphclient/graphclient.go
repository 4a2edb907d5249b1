// Package graphclient calls Microsoft Graph, as this server offers it: in this process for
// commands on the data folder, or anywhere by another transport.
//
// It owns requests, pages and errors on the wire. It refuses to own who calls, which is the
// transport's affair, and what is asked for.
//
// Start at [Client].
package graphclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
)

// A Client calls Graph.
type Client struct {
	Base string       // URL with the version, without a slash at the end: https://localhost:8444/v1.0
	HTTP *http.Client // its transport says who calls
	// DryRun, if it is not nil, makes a dry run of each request that would change something, and
	// is told what that would be. Nothing is read into the value of such a request.
	DryRun func([]directory.ChangeNote)
}

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64 << 20

// An Error is a refusal in Graph's form.
type Error struct {
	Status  int
	Code    string
	Message string
	Details []string // what more there is to say, and to do

	conflict bool // something else has what was asked for
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("Graph answered %d %s", e.Status, e.Code)
	}
	return strings.TrimSuffix(e.Message, ".")
}

// Fix says what to do next.
func (e *Error) Fix() string { return strings.Join(e.Details, " ") }

// NotFound reports whether what was asked for is not there.
func NotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// Invalid reports whether what was asked for breaks a rule, whatever else there is.
func Invalid(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusBadRequest && !e.conflict && slices.Contains([]string{"BadRequest", "Request_BadRequest", "Request_UnsupportedQuery"}, e.Code)
}

// Forbidden reports whether the caller has no right to what was asked for.
func Forbidden(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// Get reads one thing, or what else a path has, into a value.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.Do(ctx, http.MethodGet, path, nil, into)
}

// Do sends a request with a body of JSON, none for nil, and reads the answer into a value, if
// that is not nil.
func (c *Client) Do(ctx context.Context, method, path string, body, into any) error {
	if c.DryRun == nil || method == http.MethodGet {
		return c.send(ctx, method, c.Base+"/"+path, body, into)
	}
	var found struct {
		Changes []directory.ChangeNote `json:"changes"`
	}
	if err := c.send(ctx, method, c.Base+"/rolecall.dryRun/"+path, body, &found); err != nil {
		return err
	}
	c.DryRun(found.Changes)
	return nil
}

func (c *Client) send(ctx context.Context, method, at string, body, into any) error {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, at, content)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.HTTP.Do(r)
	if known, is := errors.AsType[fix.Error](err); is { // what the transport says needs no URL before it
		return known
	}
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(answer.StatusCode, b)
	}
	if into == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", r.URL.Path, err)
	}
	return nil
}

// refusal reads an error. What is none in Graph's form is one of something in between.
func refusal(status int, b []byte) error {
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Details []struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"details"`
		} `json:"error"`
	}
	e := &Error{Status: status}
	if json.Unmarshal(b, &body) != nil {
		return e
	}
	e.Code, e.Message = body.Error.Code, body.Error.Message
	for _, d := range body.Error.Details {
		e.conflict = e.conflict || d.Code == "ObjectConflict"
		general, repeated := strings.CutSuffix(e.Message, d.Message)
		switch {
		case d.Message == "", !repeated && e.conflict: // which is the general sentence, with nothing to do
		case !repeated:
			e.Details = append(e.Details, d.Message)
		case general == "" || strings.HasSuffix(general, ". "): // a sentence that programs look for
			what, advice := advised(d.Message)
			e.Message = what
			if advice != "" {
				e.Details = append(e.Details, advice)
			}
		default: // the message says where, too
		}
	}
	return e
}

// advised cuts a text after its first sentence: what follows says what to do. A text in quotes
// is part of its sentence.
func advised(message string) (what, advice string) {
	quoted, escaped := false, false
	for _, general := range []string{"One or more property values specified are invalid. "} {
		message = strings.TrimPrefix(message, general)
	}
	for i, c := range message {
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quoted:
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			if rest, cut := strings.CutPrefix(message[i+1:], " "); cut && rest != "" {
				return message[:i+1], rest
			}
		}
	}
	return message, ""
}

// Each lets f see all things of a list, page by page.
func (c *Client) Each(ctx context.Context, path string, query url.Values, f func(json.RawMessage) error) error {
	at := c.Base + "/" + path
	if len(query) > 0 {
		at += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	for at != "" {
		var page struct {
			Value []json.RawMessage `json:"value"`
			Next  string            `json:"@odata.nextLink"`
		}
		if err := c.send(ctx, http.MethodGet, at, nil, &page); err != nil {
			return err
		}
		for _, one := range page.Value {
			if err := f(one); err != nil {
				return err
			}
		}
		switch {
		case page.Next != "" && !strings.HasPrefix(page.Next, c.Base+"/"):
			return fmt.Errorf("the next page of %s is said to be elsewhere", path)
		case page.Next == at:
			return fmt.Errorf("the next page of %s is said to be the same one", path)
		}
		at = page.Next
	}
	return nil
}

package graph

import (
	"bytes"
	"net/http"
)

// An answer is what a route has to say.
type answer struct {
	status   int
	context  string // of @odata.context, behind "$metadata#"; empty: the body has none
	body     any    // an object, a list or nil; *raw for what is no JSON
	location string // of what was created
	header   http.Header
}

// A raw body is no JSON.
type raw struct {
	contentType string
	bytes       []byte
}

// A list is a page of a collection.
type list struct {
	count *int // of the whole collection, where the client asked for it
	items []object
	next  string // URL of the next page
	delta string // URL to ask later what has changed since
}

// entity is an answer with one thing of a set.
func entity(set string, o object) answer {
	return answer{status: http.StatusOK, context: set + "/$entity", body: o}
}

// created is an answer with what was just made.
func created(set, location string, o object) answer {
	return answer{status: http.StatusCreated, context: set + "/$entity", body: o, location: location}
}

// collection is an answer with a page of a set.
func collection(set string, l list) answer {
	return answer{status: http.StatusOK, context: set, body: l}
}

// result is an answer of an action.
func result(kind string, o object) answer {
	return answer{status: http.StatusOK, context: "microsoft.graph." + kind, body: o}
}

// done is an answer without a body.
func done() answer { return answer{status: http.StatusNoContent} }

const (
	jsonType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
	// errorType stands alone: clients of errors compare it whole.
	errorType = "application/json"
)

// write writes an answer.
func (a *API) write(w http.ResponseWriter, r *http.Request, ids requestIDs, given answer) {
	header := w.Header()
	for name, values := range given.header {
		header[name] = values
	}
	header.Set("request-id", ids.request)
	header.Set("client-request-id", ids.client)
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-cache")
	}
	header.Set("Strict-Transport-Security", "max-age=31536000")
	header.Set("Vary", "Accept-Encoding")
	header.Set("X-Content-Type-Options", "nosniff")
	if given.location != "" {
		header.Set("Location", given.location)
	}
	body, err := a.encodeAnswer(r, &given, header)
	if err != nil {
		a.cfg.Log.ErrorContext(r.Context(), "graph cannot write an answer", "path", r.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(given.status)
	_, _ = w.Write(body) //nolint:gosec // JSON and never sniffed; the caller may be gone
}

// encodeAnswer returns the body of an answer, and sets the headers that tell of it.
func (a *API) encodeAnswer(r *http.Request, given *answer, header http.Header) ([]byte, error) {
	if given.body == nil {
		return nil, nil
	}
	var b bytes.Buffer
	var full object
	if given.context != "" {
		full = append(full, member{"@odata.context", a.cfg.URL + "/" + versionOf(r) + "/$metadata#" + given.context})
	}
	switch body := given.body.(type) {
	case *raw:
		header.Set("Content-Type", body.contentType)
		return body.bytes, nil
	case list:
		full = append(full, body.members()...)
	case object:
		full = append(full, body...)
	}
	if given.status < http.StatusBadRequest {
		header.Set("Content-Type", jsonType)
		header.Set("OData-Version", "4.0")
	} else {
		header.Set("Content-Type", errorType)
	}
	if err := encode(&b, full); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (l list) members() object {
	var o object
	if l.count != nil {
		o = append(o, member{"@odata.count", *l.count})
	}
	if l.next != "" {
		o = append(o, member{"@odata.nextLink", l.next})
	}
	if l.delta != "" {
		o = append(o, member{"@odata.deltaLink", l.delta})
	}
	return append(o, member{"value", orEmpty(l.items)})
}

// versionOf is the version that a path begins with.
func versionOf(r *http.Request) string {
	if path, err := parsePath(r.URL); err == nil {
		return path.version
	}
	return version1
}

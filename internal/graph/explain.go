package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An Explainer says why a token or a token request was accepted or refused, and tells of one
// tenant alone; [explain.Explainer] is one.
type Explainer interface {
	Explain(ctx context.Context, q explain.Question, within *directory.Tenant) (*explain.Report, error)
}

// explanationRoutes is the route of explanations. Microsoft's service has no such action, so its
// name is qualified by ours.
func explanationRoutes() []route {
	return []route{{http.MethodPost, "rolecall.explain", explains(), explanation}}
}

// explains is the permit for explanations, which tell of sign-ins and of what is registered.
func explains() *permit {
	p := readsLogs()
	p.permissions = nil
	for _, read := range []string{applicationRead, directoryRead, applicationReadWrite, directoryReadWrite} {
		p.permissions = append(p.permissions, []string{logRead, read})
	}
	return p
}

// explanation answers a question. The token in it is proven to nobody by that, and is neither kept
// nor logged; of a token of another tenant the answer repeats what it says itself.
func explanation(c *call) (answer, error) {
	q, err := readQuestion(c)
	if err != nil {
		return answer{}, err
	}
	if c.api.cfg.Explainer == nil {
		return answer{}, &problem{status: http.StatusNotImplemented, code: "NotImplemented", message: "This Graph explains nothing: call that of a running server (rolecall serve)."}
	}
	report, err := c.api.cfg.Explainer.Explain(c.ctx(), q, c.caller.tenant)
	if errors.Is(err, explain.ErrNoSignIn) {
		return answer{}, &problem{status: http.StatusNotFound, code: codeNotFound, message: "No token request of this tenant has the correlation id " + quote(q.CorrelationID) + "."}
	}
	if settings, is := errors.AsType[*explain.SettingsError](err); is {
		return answer{}, invalid("guard", saysInvalid+" "+text.Line(settings.Error(), 4*text.MaxQuoted))
	}
	if err != nil {
		return answer{}, err
	}
	o, err := jsonObject(report)
	return answer{status: http.StatusOK, context: "rolecall.explanation", body: o}, err
}

// readQuestion reads what is asked: about a token, or about a token request.
func readQuestion(c *call) (explain.Question, error) {
	var q explain.Question
	given, err := c.body()
	if err != nil {
		return q, err
	}
	content, err := given.MarshalJSON()
	if err != nil {
		return q, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return q, invalid("", saysInvalid+" The question cannot be read: "+text.Line(err.Error(), text.MaxQuoted)+".")
	}
	switch {
	case (q.Token == "") == (q.CorrelationID == ""):
		return q, invalid("", saysInvalid+" Give either 'token' or 'correlationId'.")
	case q.CorrelationID != "" && (q.API != "" || len(q.Roles) > 0 || q.Guard != nil || q.Refusal != nil):
		return q, invalid("correlationId", saysInvalid+" 'api', 'roles', 'guard' and 'refusal' go with 'token' alone.")
	case q.Guard != nil:
		if _, err := q.Guard.Settings(); err != nil {
			return q, invalid("guard", saysInvalid+" "+text.Line(err.Error(), 4*text.MaxQuoted))
		}
	}
	return q, nil
}

// jsonObject is a value as it is written in JSON, with its members in their order.
func jsonObject(value any) (object, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	read, err := parseBody(content)
	if err != nil {
		return nil, err
	}
	o := make(object, len(read))
	for i, m := range read {
		o[i] = member(m)
	}
	return o, nil
}

package otlp

import (
	"encoding/json"
	"strconv"
)

// Values of enumerations on the wire.
const (
	kindServer  = 2
	statusError = 2
)

// A wireSpan is a span as the protocol has it. Numbers of 64 bits are text there, and ids are in
// hexadecimal.
type wireSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	ParentID   string          `json:"parentSpanId,omitempty"`
	Name       string          `json:"name"`
	Kind       int             `json:"kind"`
	Start      string          `json:"startTimeUnixNano"`
	End        string          `json:"endTimeUnixNano"`
	Attributes []wireAttribute `json:"attributes,omitempty"`
	Status     *wireStatus     `json:"status,omitempty"`
}

type wireStatus struct {
	Code int `json:"code"`
}

type wireAttribute struct {
	Key   string    `json:"key"`
	Value wireValue `json:"value"`
}

type wireValue struct {
	Text   *string `json:"stringValue,omitempty"`
	Number *string `json:"intValue,omitempty"`
}

func wireAttributes(all []Attribute) []wireAttribute {
	out := make([]wireAttribute, len(all))
	for i, a := range all {
		out[i].Key = a.Key
		if a.Number != 0 {
			number := strconv.FormatInt(a.Number, 10)
			out[i].Value.Number = &number
			continue
		}
		out[i].Value.Text = &a.Text
	}
	return out
}

func (s *Span) wire() wireSpan {
	w := wireSpan{
		TraceID: s.Trace.String(), SpanID: s.ID.String(), Name: s.Name, Kind: kindServer,
		Start: strconv.FormatInt(s.Start.UnixNano(), 10), End: strconv.FormatInt(s.End.UnixNano(), 10),
		Attributes: wireAttributes(s.Attributes),
	}
	if s.Parent != (SpanID{}) {
		w.ParentID = s.Parent.String()
	}
	if s.Failed {
		w.Status = &wireStatus{statusError}
	}
	return w
}

// encode returns the request with a batch (ExportTraceServiceRequest).
func (e *Exporter) encode(batch []Span) ([]byte, error) {
	spans := make([]wireSpan, len(batch))
	for i := range batch {
		spans[i] = batch[i].wire()
	}
	encoded, err := json.Marshal(spans)
	if err != nil {
		return nil, err
	}
	return append(append(append(make([]byte, 0, len(e.head)+len(encoded)+8), e.head...), encoded...), "}]}]}"...), nil
}

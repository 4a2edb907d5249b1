// Package otlp sends spans to a collector of traces, by the OpenTelemetry protocol over HTTP in
// its JSON encoding.
//
// It owns the settings that OpenTelemetry has in the environment, the header traceparent, the
// queue and the wire. It refuses to own what a span says: whoever makes one keeps secrets out of
// it. Start reading at exporter.go.
package otlp

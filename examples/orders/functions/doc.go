// Package functions lets an http.Handler run, unchanged, as a plain program and as an
// Azure Functions custom handler.
//
// The Functions host speaks to a custom handler in two ways. With
// enableForwardingHttpRequest it passes HTTP requests on as they were sent, which needs no
// help. Otherwise, and for timers always, it posts a JSON description of the invocation
// to /{function name} and expects one of the outcome. [Handler] turns such a description
// back into the request it describes and gives it to the application, so that whatever
// guards the application guards it in every mode; and the application's answer, also a
// refusal, into the description of an answer.
package functions

// Package routers shows the guard on routes of chi, gin and echo. Each function returns an API
// whose one route takes the app role Orders.Read and tells its caller who it is.
//
// What takes an http.Handler needs no adapter: chi and echo use the guard's middleware as it is,
// gin with a few lines. A whole router can stand behind rules by path and method instead, with
// [guard.Guard.Handler].
package routers

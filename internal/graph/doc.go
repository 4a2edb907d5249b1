// Package graph serves the part of Microsoft Graph with which applications, service
// principals, credentials, app-role assignments and users are managed, so that the Azure CLI,
// Terraform and Microsoft's SDKs can manage a directory here.
//
// It owns the wire format: paths, headers, JSON, the codes and words of errors, and which
// permission a caller needs for what. It refuses to own the rules of the model, which package
// directory holds for every way of changing it, and who a caller is: package selfguard admits
// those who have a token for Graph from a tenant of the directory.
//
// A request takes one way: [API.Handler] admits its caller, finds its row in the table of
// routes, holds the row's permit against the caller, and calls the row's function, which reads
// a View or changes the directory on behalf of the caller, and returns an answer or an error.
// Errors become Graph's in one place, problemOf.
//
// Start at the table in route.go; a resource is two files, one for its form on the wire
// (application.go) and one for its routes (applications.go).
package graph

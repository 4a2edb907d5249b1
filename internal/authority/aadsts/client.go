package aadsts

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// This file holds the problems of the client: who it is, whether its credential proves
// it, and what it was granted. Each row has one constructor.

// clientProblems gives each problem of this file once, with placeholders.
func clientProblems() []*Problem {
	return []*Problem{
		ClientUnknown("{client_id}", "{tenant}"),
		ClientNoGUID("{tenant}"),
		ClientAbsent("{client_id}", "{tenant}"),
		ClientDisabled("{client_id}"),
		NoCredential("{client_id}"),
		WrongSecret("{client_id}"),
		SecretLineBreak("{client_id}"),
		ExpiredSecret("{client_id}"),
		PublicClient("{client_id}"),
		NotAssigned("{client_id}", "{client}", "{resource}", "{api}"),
	}
}

// ClientUnknown refuses a client that does not exist in the tenant.
func ClientUnknown(client, tenant string) *Problem {
	return &Problem{
		Code: 700016, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What:   "The application with the identifier " + text.Quote(client) + " was not found in the directory " + text.Quote(tenant) + ".",
		Advice: "Check the client_id and the tenant, or register the application in this tenant.",
	}
}

// ClientNoGUID is ClientUnknown for what cannot be an application's id. It is not repeated,
// for it may be a secret that somebody put into the wrong field.
func ClientNoGUID(tenant string) *Problem {
	return &Problem{
		Code: 700016, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What:   "The client_id is not a GUID, so that it names no application in the directory " + text.Quote(tenant) + ".",
		Advice: "Send the application's id as client_id, and nothing but that.",
	}
}

// ClientAbsent refuses an application without a service principal in the tenant.
func ClientAbsent(client, tenant string) *Problem {
	return &Problem{
		Code: 7000229, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What:   "The application " + text.Quote(client) + " has no service principal in the tenant " + text.Quote(tenant) + ".",
		Advice: "Create the service principal of the application in this tenant.",
	}
}

// ClientDisabled refuses an application that is disabled.
func ClientDisabled(client string) *Problem {
	return &Problem{
		Code: 7000112, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What:   "The application " + text.Quote(client) + " is disabled.",
		Advice: "An administrator of the tenant can enable its service principal.",
	}
}

// NoCredential refuses a confidential client that presents no credential.
func NoCredential(client string) *Problem {
	return &Problem{
		Code: 7000218, OAuth: InvalidClient, Status: http.StatusUnauthorized,
		What:   "The request for the application " + text.Quote(client) + " must contain 'client_assertion' or 'client_secret'.",
		Advice: "Give the client library a secret, a certificate or a federated token.",
	}
}

// WrongSecret refuses a secret that is not the application's.
func WrongSecret(client string) *Problem {
	return &Problem{
		Code: 7000215, OAuth: InvalidClient, Status: http.StatusUnauthorized,
		What:   "The client secret is not one of the application " + text.Quote(client) + ".",
		Advice: "Send the secret's value, not its id, without blanks around it; a lost value cannot be shown again, add a new secret.",
	}
}

// SecretLineBreak refuses a secret that came with a line break at its end.
func SecretLineBreak(client string) *Problem {
	return &Problem{
		Code: 7000215, OAuth: InvalidClient, Status: http.StatusUnauthorized,
		What:   "The client secret is not one of the application " + text.Quote(client) + ": it ends in a line break.",
		Advice: "Take the line break off where the secret is read; files and echo end in one.",
	}
}

// ExpiredSecret refuses a secret that has expired.
func ExpiredSecret(client string) *Problem {
	return &Problem{
		Code: 7000222, OAuth: InvalidClient, Status: http.StatusUnauthorized,
		What:   "The client secret of the application " + text.Quote(client) + " has expired.",
		Advice: "Add a new secret to the application and give it to the client.",
	}
}

// PublicClient refuses a credential of a public client.
func PublicClient(client string) *Problem {
	return &Problem{
		Code: 700025, OAuth: InvalidClient, Status: http.StatusUnauthorized,
		What:   "The application " + text.Quote(client) + " is a public client and has no credentials, but the request carries one.",
		Advice: "Add a secret or certificate to the application, or leave the credential out.",
	}
}

// NotAssigned refuses an application that has no role at an API that requires one.
func NotAssigned(client, clientName, resource, resourceName string) *Problem {
	return &Problem{
		Code: 501051, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What: "The application " + text.Quote(client) + " (" + text.Line(clientName, text.MaxQuoted) + ") is not assigned to a role for the application " +
			text.Quote(resource) + " (" + text.Line(resourceName, text.MaxQuoted) + "), which requires it.",
		Advice: "Grant it one of the API's app roles.",
	}
}

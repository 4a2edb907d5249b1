package authority

import "net/http"

// This file holds the problems of the client: who it is, whether its credential proves
// it, and what it was granted. Each row has one constructor.

// clientProblems gives each problem of this file once, with placeholders.
func clientProblems() []*Problem {
	return []*Problem{
		problemClientUnknown("{client_id}", "{tenant}"),
		problemClientAbsent("{client_id}", "{tenant}"),
		problemClientDisabled("{client_id}"),
		problemNoCredential("{client_id}"),
		problemWrongSecret("{client_id}"),
		problemExpiredSecret("{client_id}"),
		problemPublicClient("{client_id}"),
		problemNotAssigned("{client_id}", "{client}", "{resource}", "{api}"),
	}
}

func problemClientUnknown(client, tenant string) *Problem {
	return &Problem{
		Code: 700016, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What: "The application with the identifier " + quoted(client) + " was not found in the directory " + quoted(tenant) + ".",
		Fix:  "Check the client_id and the tenant, or register the application in this tenant.",
	}
}

func problemClientAbsent(client, tenant string) *Problem {
	return &Problem{
		Code: 7000229, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What: "The application " + quoted(client) + " has no service principal in the tenant " + quoted(tenant) + ".",
		Fix:  "Create the service principal of the application in this tenant.",
	}
}

func problemClientDisabled(client string) *Problem {
	return &Problem{
		Code: 7000112, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What: "The application " + quoted(client) + " is disabled.",
		Fix:  "An administrator of the tenant can enable its service principal.",
	}
}

func problemNoCredential(client string) *Problem {
	return &Problem{
		Code: 7000218, OAuth: invalidClient, Status: http.StatusUnauthorized,
		What: "The request for the application " + quoted(client) + " must contain 'client_assertion' or 'client_secret'.",
		Fix:  "Give the client library a secret, a certificate or a federated token.",
	}
}

func problemWrongSecret(client string) *Problem {
	return &Problem{
		Code: 7000215, OAuth: invalidClient, Status: http.StatusUnauthorized,
		What: "The client secret is not one of the application " + quoted(client) + ".",
		Fix:  "Send the secret's value, not its id, without blanks around it; a lost value cannot be shown again, add a new secret.",
	}
}

func problemExpiredSecret(client string) *Problem {
	return &Problem{
		Code: 7000222, OAuth: invalidClient, Status: http.StatusUnauthorized,
		What: "The client secret of the application " + quoted(client) + " has expired.",
		Fix:  "Add a new secret to the application and give it to the client.",
	}
}

func problemPublicClient(client string) *Problem {
	return &Problem{
		Code: 700025, OAuth: invalidClient, Status: http.StatusUnauthorized,
		What: "The application " + quoted(client) + " is a public client and has no credentials, but the request carries one.",
		Fix:  "Add a secret or certificate to the application, or leave the credential out.",
	}
}

func problemNotAssigned(client, clientName, resource, resourceName string) *Problem {
	return &Problem{
		Code: 501051, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The application " + quoted(client) + " (" + clean(clientName, maxQuoted) + ") is not assigned to a role for the application " +
			quoted(resource) + " (" + clean(resourceName, maxQuoted) + "), which requires it.",
		Fix: "Grant it one of the API's app roles.",
	}
}

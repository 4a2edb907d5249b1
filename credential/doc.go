// Package credential gets an application its tokens and puts them on its requests.
//
// It is a thin layer over Microsoft's own libraries. Every credential here is an
// azcore.TokenCredential, so it fits wherever the Azure SDK takes one, and any
// credential of the Azure SDK fits wherever this package takes one.
//
//	cred, err := credential.NewSecret(tenantID, clientID, secret, nil)
//	client := &http.Client{Transport: credential.NewTransport(cred, "api://orders/.default")}
//	resp, err := client.Get("https://orders.contoso.test/api/GetOrders")
//
// What the package adds to those libraries:
//
//   - the authority and the certificates to trust come from one [Options], by default
//     from AZURE_AUTHORITY_HOST and ROLECALL_CA_BUNDLE, so the same program runs against
//     a private authority and against Microsoft Entra ID;
//   - [Parse] reads the connection strings of the App Authentication library;
//   - [ADAL] speaks to the old v1 endpoint with resource= instead of scope=;
//   - [Cached] answers from memory in tens of nanoseconds, asks once however many wait,
//     refreshes before a token expires and outlives an authority that is down;
//   - [NewTransport] sends a token to the API it is for and to nobody else;
//   - [Error] says what was refused, why, and what to do next, and holds no secret.
//
// The package knows no server: it starts none, and it trusts nothing in a token. Who may
// call an API is for the API to decide.
package credential

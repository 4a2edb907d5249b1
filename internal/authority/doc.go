// Package authority issues access tokens to applications over the endpoints and in the
// shapes that Microsoft's client libraries know.
//
// It owns the protocol: the URL space of a tenant (discovery documents, keys, token
// endpoints of both versions), client authentication, the resolution of a scope to a
// resource, the claims of a token, and what a refusal says. It refuses to own who exists
// and who may what, which package directory answers, and where signing keys come from,
// which package keyring answers.
//
// A token request goes one way, and each step takes the step before as its argument:
//
//	readForm ▸ parse ▸ authenticate ▸ authorize ▸ claims ▸ sign ▸ writeAnswer
//
// Users sign in too, for development and so that there is somebody for an API that takes
// applications only to turn away. What a browser comes for is an errand, which each page
// takes a step on (Authority.pursue); what comes of it is kept as tickets, which the token
// endpoint redeems:
//
//	understand ▸ sign in ▸ confirm ▸ delegate ▸ consent ▸ code
//	readForm ▸ parse ▸ authenticate ▸ redeem ▸ delegate ▸ claims ▸ sign ▸ writeAnswer
//
// Start reading at [New] and at Authority.token, which reads like the protocol. Every
// refusal is a [Problem]; [Problems] lists them all.
package authority

// Package fetch reads documents from addresses that others chose: the metadata and keys
// of federated issuers. Such an address may be a mistake or a trap, so there is one
// client for all of them, and it is narrow: https, no proxies, no redirect to another
// origin, an answer of bounded size within a bounded time, and only addresses of the
// public Internet unless the operator has listed others.
//
// The address that was checked is the address that is dialled. A name is resolved once,
// here, and what the resolver says is judged before anything connects to it.
package fetch

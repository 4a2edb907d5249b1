// Package coordination keeps in memory what the requests of an authority have to know of
// each other: failed attempts, turns, assertions that were used, workloads that run, and how
// often devices ask.
//
// It owns those memories, each behind a small interface: several nodes of one authority will
// have to share them, and a shared form takes the place of the one in memory here. It
// refuses to own what may be learned from a store anyway, what each node can afford to find
// out for itself, such as the keys of federated issuers, and what follows from an answer,
// which its callers decide.
//
// An implementation that cannot reach the others answers for itself as well as it can; no
// method reports an error, and none may take long.
//
// Start reading at [State] and [InMemory].
package coordination

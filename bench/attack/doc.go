// Package attack holds the guard against foreign validators: tokens are forged and garbled in
// every way known, most of them signed again with the key that counts so that only one rule
// can refuse them, and whatever the guard lets in each of the others has to let in as well.
//
//	go test ./attack   20,000 tokens, go-jose and go-oidc
//	attack/run tokens  140,000 tokens, and also jose, PyJWT and nimbus, which it installs,
//	                   and ASP.NET's JwtBearer, if ATTACK_DOTNET names compat/dotnet's program
//	make attack        the same, and the attacks on the authority, whose tests are beside what
//	                   they attack: forged assertions, redirect addresses, guessed passwords
//
// The table that it prints counts, for each validator, what it takes and refuses of the same
// tokens. Where the guard refuses and others take, it is the stricter one, for a reason that
// the table names. The other way round there is nothing but what is written down in
// exceptions.
//
// Each run has a seed, which it prints; -seed repeats it.
package attack

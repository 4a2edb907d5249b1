// What users of Rolecall write, in a module that is not ours: nothing in it may need an
// internal package. TestUsersBuildOutside runs it; by hand:
//
//	go test -mod=mod -modfile=/tmp/outside.mod ./...
//
// with a copy of this file there. The versions and their sums are those of Rolecall itself,
// so they are not repeated here.
module example.test/outside

go 1.26

require github.com/rolecall-auth/rolecall v0.0.0

replace github.com/rolecall-auth/rolecall => ../..

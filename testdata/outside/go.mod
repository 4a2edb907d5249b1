// What users of Rolecall write, in a module that is not ours: nothing in it may need an
// internal package. TestUsersBuildOutside copies it, adds the go.sum of
// Rolecall, and runs it: the versions are those of Rolecall, so they are not repeated here.
module example.test/outside

go 1.26

require github.com/rolecall-auth/rolecall v0.0.0

replace github.com/rolecall-auth/rolecall => ../..

module github.com/rolecall-auth/rolecall

go 1.26.0

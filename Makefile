# Plain go commands come first; these targets only spare typing.
GOLANGCI = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: setup test modules lint compat bench attack fuzz

setup: ## install what go test and the compat suites use beyond Go
	bash .ci/setup

test: modules
	go test ./...

modules: ## what has a go.mod of its own, so that nobody else inherits its libraries
	bash .ci/modules

lint:
	$(GOLANGCI) run ./...

compat: ## unmodified Microsoft clients of six languages, and APIs that check tokens, against a server of ours; COMPAT=--quick leaves out what takes minutes to build
	bash compat/run $(COMPAT)

fuzz: ## every fuzz target for a few seconds; FUZZTIME=5m for longer
	bash .ci/fuzz

bench: ## ours and the peers side by side
	bash bench/run

attack: ## forged tokens and assertions, redirects and guesses by the thousand: none may be accepted
	bash bench/attack/run

#!/usr/bin/env bash
# run.sh ROLECALL [PROGRAM]: Microsoft's .NET libraries against the binary ROLECALL, in a network of loopback alone (needs
# root). PROGRAM is this folder published; without it `dotnet` publishes it. One line per check, "ok" or "FAIL" first, in
# three parts: clients and APIs with the authority named in them; managed identities and the rest under `rolecall run`; and,
# where `rolecall run` has --public-names, the same clients and APIs untouched.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

main() {
	rolecall=$(realpath "${1:?usage: run.sh ROLECALL [PROGRAM]}")
	program=$(realpath "${2:-$(publish)}") || exit 1
	[ -n "${DOTNET_COMPAT_INSIDE:-}" ] || DOTNET_COMPAT_INSIDE=1 exec unshare --net --mount "${BASH_SOURCE[0]}" "$rolecall" "$program"
	ip link set lo up
	mkdir -p /var/opt && mount -t tmpfs none /var/opt && install -d -m 0755 /var/opt/azcmagent/tokens # where Azure Arc's clients look
	work=$(mktemp -d)
	trap 'kill "$server" 2>/dev/null; wait; rm -rf "$work"' EXIT
	cd "$work" || exit 1
	prepare
	start
	{
		part "clients, the authority named in them"
		# ADAL asks a public host about every authority that it does not know: only the third part can run it offline.
		HOST=https://localhost:8443 SSL_CERT_FILE=$bundle "$program" clients msal "identity "
		part "APIs, the authority named in them"
		tokens
		apis '' env HOST=https://localhost:8443 SSL_CERT_FILE="$bundle"
		part "under rolecall run"
		under_run
		if "$rolecall" run --help | grep -q -e --public-names; then
			part "untouched: public names, nothing set"
			run --public-names --as orders-client -- "$program" clients adal msal "identity "
			run --public-names --as orders-client-mi -- "$program" clients "managed identity" default
			part "APIs, untouched: tokens that other runs got"
			public_tokens
			apis 'untouched ' "$rolecall" run --data "$data" --public-names --offline --as orders-server --
		fi
	} 2>&1 | grep -v ' passed, ' | tee all
	local ran failed
	ran=$(grep -c -E '^(ok|FAIL)' all) failed=$(grep -c '^FAIL' all)
	printf '\n%d passed, %d failed\n' $((ran - failed)) "$failed"
	[ "$failed" -eq 0 ] && [ "$ran" -ge 100 ]
}

publish() { # prints where the program is
	command -v dotnet >/dev/null || { echo "run.sh: name the published program, or install the .NET SDK" >&2; return 1; }
	dotnet publish "$here" -c Release -r linux-x64 --self-contained -p:PublishSingleFile=true -o "$here/../../.cache/compat/dotnet" >&2 &&
		echo "$here/../../.cache/compat/dotnet/dotnet-compat"
}

part() { printf '\n== %s\n' "$1"; }

prepare() { # the client's certificate, in the forms that libraries read
	cp "$here/directory.yaml" .
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out client.pem -days 2 -subj /CN=orders-client 2>/dev/null &&
		openssl pkcs12 -export -inkey key.pem -in client.pem -out client.pfx -passout pass: && cat key.pem client.pem >both.pem || exit 1
	export PFX=$work/client.pfx PEM=$work/both.pem HOME=$work DOTNET_BUNDLE_EXTRACT_BASE_DIR=$work/net
}

start() { # the server
	data=$work/data bundle=$work/data/ca-bundle.pem
	"$rolecall" serve --config directory.yaml --data "$data" --port 8443 -o json >serve.out 2>serve.err &
	server=$!
	for _ in $(seq 300); do
		[ ! -s serve.out ] || return
		sleep 0.1
	done
	cat serve.err >&2
	exit 1
}

tokens() {
	token() { "$rolecall" token --data "$data" "$@"; }
	token --as orders-client --scope api://orders/.default >token.good
	token --as orders-client --resource api://orders-classic --way adal >token.classic
	token --as report --scope api://orders/.default >token.norole
	token --as orders-client-mi --scope api://orders/.default >token.identity
	change
}

change() { awk -F. '{print $1"."$2"."substr($3,1,10) (substr($3,11,1)=="A"?"B":"A") substr($3,12)}' token.good >token.changed; }

public_tokens() { # tokens under Microsoft's names; what was good until now has the issuer of the server's own name
	mv token.good token.own
	mv token.classic token.own-classic
	get() { # the application, the scope
		SCOPE=$2 run --public-names --offline --as "$1" -- sh -c '
			printf "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s" "$AZURE_CLIENT_ID" "$AZURE_CLIENT_SECRET" "$SCOPE" |
				curl -sS --data @- "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token"' | member access_token
	}
	get orders-client api://orders/.default >token.good
	get orders-client api://orders-classic/.default >token.classic
	get report api://orders/.default >token.norole
	run --public-names --offline --as orders-client-mi -- sh -c '
		curl -sS -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=api://orders"' |
		member access_token >token.identity
	change
}

member() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

apis() { # what its rows begin with, the command that starts the API; asks every route with every token
	local api route name want got rows=$1
	shift
	"$@" "$program" api http://127.0.0.1:7200 >api.log 2>&1 &
	api=$!
	for _ in $(seq 300); do
		! curl -s -o /dev/null http://127.0.0.1:7200/bearer || break
		sleep 0.1
	done
	while read -r route name want; do
		got=$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(cat "token.$name")" "http://127.0.0.1:7200/$route")
		if [ "$got" = "$want" ]; then
			echo "ok   api $rows$route, $name: $got"
		else
			echo "FAIL api $rows$route, $name: $got, not $want"
		fi
	done < <(routes "$rows")
	kill "$api"
	wait "$api" 2>/dev/null
}

routes() { # route, token, status
	local route
	for route in bearer bearer-key-issuer bearer-any-tenant web-acl; do
		printf "$route %s\n" "good 200" "identity 200" "classic 401" "norole 403" "changed 401"
	done
	for route in web web-common web-organizations; do # this library refuses a token without roles by itself
		printf "$route %s\n" "good 200" "identity 200" "classic 401" "norole 401" "changed 401"
	done
	for route in bearer-v1 web-v1; do
		printf "$route %s\n" "good 401" "classic 200" "changed 401"
	done
	[ -n "$1" ] || return 0
	printf "%s own 401\n" bearer bearer-key-issuer bearer-any-tenant web-acl web web-common web-organizations
	printf "%s own-classic 401\n" bearer-v1 web-v1
}

run() { "$rolecall" run --data "$data" "$@"; }

under_run() {
	local via claims
	for via in secret certificate; do
		run --as orders-client --via $via -- "$program" clients environment default
	done
	run --as orders-client-mi --via workload -- "$program" clients workload default
	run --as orders-client --via cli -- "$program" clients az default
	for via in app-service imds arc service-fabric cloud-shell azure-ml; do
		run --as orders-client-mi --via $via -- "$program" clients "managed identity" default
	done
	claims=$("$rolecall" token --data "$data" --as courier-mi --scope api://orders/.default -o claims)
	export MI_CLIENT MI_OBJECT
	MI_CLIENT=$(member azp <<<"$claims") MI_OBJECT=$(member oid <<<"$claims")
	export MI_RESOURCE
	MI_RESOURCE=$(member xms_mirid <<<"$("$rolecall" token --data "$data" --as courier-mi --scope https://storage.azure.com/.default -o claims)")
	for via in app-service imds; do
		run --as orders-client-mi --also courier-mi --via $via -- "$program" clients user-assigned
	done
	run --as orders-client-mi --also courier-mi --via azure-ml -- "$program" clients "user-assigned by client id"
}

main "$@"

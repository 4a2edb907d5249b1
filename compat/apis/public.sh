#!/usr/bin/env bash
# Runs APIs that have Microsoft's names in their source, one for each of the usual libraries that
# check tokens, and daemons that have them too, in four languages: each by a
# `rolecall run --public-names --offline` of its own, beside one `rolecall serve`, all on loopback.
# Calls each API with tokens that another run on the same data folder got, and with tokens from
# elsewhere, has each daemon call each API, and prints which status came back, as tables.
# Then it follows docs/public-names.md: each command is run as the page has it, and has to print
# what the page says.
#
#   compat/apis/public.sh ROLECALL PROGRAMS
#
# PROGRAMS is the folder of what is built with Go: go-oidc, api and client (examples/public-names).
# It fails when an API lets in another than the one it should, and when a program was refused a host.
# What the programs need must be installed: compat/run does that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/apis/public.sh ROLECALL PROGRAMS}")
programs=$(realpath "${2:?usage: compat/apis/public.sh ROLECALL PROGRAMS}")
venvs=${COMPAT_VENVS:-$here/../../.cache/compat}
python=$venvs/apis/bin/python
daemons=$here/../../examples/public-names
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill -- "${pids[@]}" 2>/dev/null || true; wait "${pids[@]#-}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}"
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1

main() {
	serve one
	serve another
	start_apis
	get_tokens
	print_tokens
	print_daemons
	refused=$(grep -h '^refused' "$tmp"/*.log || true)
	[ -z "$refused" ] || wrong+="a program asked for a host that is not Microsoft's or this machine: $refused"$'\n'
	follow_page
	[ -z "$wrong" ] || { printf 'compat: under public names:\n%s' "$wrong" >&2; exit 1; }
}
wrong=

# serve starts an authority on a data folder. The applications have the same ids in all of them.
serve() { # the folder
	cat >"$tmp/rolecall.yaml" <<-'YAML'
		tenants:
		  - name: contoso
		    id: 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11
		    domains: [contoso.test]
		    applications:
		      - name: orders-server
		        appId: a9100002-5a5a-4c4c-8d8d-000000000002
		        identifierUris: [api://orders]
		        appRoles: [{value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application]}]
		      - name: orders-server-v1
		        appId: a9100001-5a5a-4c4c-8d8d-000000000001
		        identifierUris: [api://orders-v1]
		        requestedAccessTokenVersion: 1
		        appRoles: [{value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application]}]
		      - name: orders-client
		        appId: c11e0001-5a5a-4c4c-8d8d-000000000001
		        permissions:
		          - {api: orders-server, roles: [Orders.Read], consent: true}
		          - {api: orders-server-v1, roles: [Orders.Read], consent: true}
		      - name: report
	YAML
	start "authority-$1" '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/$1" --port 0 -o json
}

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, then the command
	begin "$1" "${@:3}"
	await "$1" "$2" "${pids[-1]}"
}

begin() { # its name, the command
	: >"$tmp/$1.log"
	"${@:2}" >"$tmp/$1.log" 2>&1 &
	pids+=($!)
}

await() { # its name, the pattern, its process
	local log=$tmp/$1.log deadline=$((SECONDS + 60))
	until found=$(sed -n "s|$2|\1|p" "$log") && [ -n "$found" ]; do
		if ! kill -0 "$3" 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			echo "compat: $1 did not start" >&2
			cat "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

public=("$rolecall" run --public-names --offline)

# start_apis starts all APIs at once and leaves their names in apis, and of each its library's
# version, the version of its tokens and its URL.
start_apis() {
	local name
	declare -ga apis=()
	declare -gA version=() tokens=() url=() process=()
	api PyJWT "$(version_of_python PyJWT)" 2.0 "$python" -B "$here/python/pyjwt_public.py" 2.0
	api PyJWT "$(version_of_python PyJWT)" 1.0 "$python" -B "$here/python/pyjwt_public.py" 1.0
	api fastapi-azure-auth "$(version_of_python fastapi-azure-auth)" 2.0 "$python" -B "$here/python/fastapi_public.py"
	api jose "$(version_of_node jose)" 2.0 node "$here/node/jose-public.js" 2.0
	api jose "$(version_of_node jose)" 1.0 node "$here/node/jose-public.js" 1.0
	api passport-azure-ad "$(version_of_node passport-azure-ad)" 2.0 node "$here/node/passport-azure-ad-public.js" 2.0
	api passport-azure-ad "$(version_of_node passport-azure-ad)" 1.0 node "$here/node/passport-azure-ad-public.js" 1.0
	api "Azure starter for Spring" "$(version_of_starter)" 2.0 java -XX:TieredStopAtLevel=1 -jar "$here/spring-azure/target/api.jar"
	api go-oidc "$(version_of_go_oidc)" 2.0 "$programs/go-oidc" 2.0
	api go-oidc "$(version_of_go_oidc)" 1.0 "$programs/go-oidc" 1.0
	api "Rolecall's guard" - 2.0 "$programs/api" 127.0.0.1:0
	for name in "${apis[@]}"; do
		await "$name" 'listening \(.*\)' "${process[$name]}"
		url[$name]=$found
	done
}

api() { # its library, that's version, the version of its tokens, the command
	local name="$1, $3" as=orders-server
	[ "$3" = 2.0 ] || as=orders-server-v1
	begin "$name" "${public[@]}" --data "$tmp/one" --as $as -- "${@:4}"
	apis+=("$name") process[$name]=$! version[$name]=$2 tokens[$name]=$3
}

version_of_python() { "$python" -c 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))' "$1"; }
version_of_node() { node -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$here/node/node_modules/$1/package.json"; }
version_of_starter() { "$python" -m zipfile -l "$here/spring-azure/target/api.jar" | sed -n 's|.*/spring-cloud-azure-starter-active-directory-\(.*\)\.jar .*|\1|p'; }
version_of_go_oidc() { go version -m "$programs/go-oidc" | sed -n 's|.*github.com/coreos/go-oidc/v3\tv\([^\t]*\).*|\1|p'; }

# get_tokens leaves in token what the APIs are called with, for either version of tokens.
get_tokens() {
	local v scope
	declare -gA token=()
	kinds=(none good "without role" "own name" "another folder" "foreign key" "foreign key, known id")
	openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$tmp/foreign.pem"
	for v in 1.0 2.0; do
		scope=api://orders/.default
		[ $v = 2.0 ] || scope=api://orders-v1/.default
		token[$v,none]=
		token[$v,good]=$(get one orders-client $scope)
		token[$v,without role]=$(get one report $scope)
		token[$v,own name]=$("$rolecall" token --data "$tmp/one" --as orders-client --scope $scope)
		token[$v,another folder]=$(get another orders-client $scope)
		token[$v,foreign key]=$(sign "${token[$v,good]}" 'a_key_of_somebody_elses_cloud')
		token[$v,foreign key, known id]=$(sign "${token[$v,good]}" '')
	done
}

# get prints a token that a run of its own got. The secret is on no command line.
get() { # the folder, who, the scope
	SCOPE=$3 "${public[@]}" --data "$tmp/$1" --as "$2" -- sh -c '
		printf "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s" "$AZURE_CLIENT_ID" "$AZURE_CLIENT_SECRET" "$SCOPE" |
			curl --silent --show-error --fail-with-body --data @- "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token"' |
		sed -n 's|.*"access_token":"\([^"]*\)".*|\1|p'
}

# sign prints a token with the same claims, as Microsoft's cloud would issue them, signed by another key.
sign() { # the token, another id of the key
	local header=${1%%.*} claims
	claims=${1#*.} claims=${claims%%.*}
	[ -z "$2" ] || header=$(printf '{"typ":"JWT","alg":"RS256","kid":"%s"}' "$2" | base64url)
	printf '%s.%s.%s' "$header" "$claims" "$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign "$tmp/foreign.pem" | base64url)"
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d =; }

# print_tokens calls each API with each token and prints the statuses.
print_tokens() {
	local name kind status
	printf '| library | version | tokens |'
	printf ' %s |' "${kinds[@]}"
	printf '\n|---|---|---|---|---|---|---|---|---|---|\n'
	for name in "${apis[@]}"; do
		printf '| %s | %s | %s |' "${name%, *}" "${version[$name]}" "${tokens[$name]}"
		for kind in "${kinds[@]}"; do
			status=$(ask "${url[$name]}" "${token[${tokens[$name]},$kind]}")
			printf ' %s |' "$status"
			case $kind:$status in
			good:200 | "without role:403" | none:401 | "own name:401" | "another folder:401" | "foreign key:401" | "foreign key, known id:401") ;;
			*) wrong+="$name, $kind: $status"$'\n' ;;
			esac
		done
		echo
	done
}

# ask prints the status of a call. The token is not on the command line, where others see it.
ask() { # the URL, the token
	local header=()
	[ -z "$2" ] || header=(--header @-)
	curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "${header[@]}" "$1/" <<<"Authorization: Bearer $2"
}

# print_daemons has each daemon call each API for tokens of version 2.0, and prints the statuses.
print_daemons() {
	local name urls=() called=()
	for name in "${apis[@]}"; do
		[ "${tokens[$name]}" = 2.0 ] || continue
		called+=("$name") urls+=("${url[$name]}")
	done
	printf '\n| daemon |'
	printf ' %s |' "${called[@]%, *}"
	printf '\n|---|%s\n' "$(printf -- '---|%.0s' "${called[@]}")"
	daemon Go "$programs/client"
	daemon Node node "$daemons/node/client.js"
	daemon Python "$venvs/public-names/bin/python" -B "$daemons/python/client.py"
	daemon Java java -XX:TieredStopAtLevel=1 -cp "$daemons/java/target/classes:$daemons/java/target/libraries/*" quickstart.Client
}

daemon() { # its language, the command
	local said
	said=$("${public[@]}" --data "$tmp/one" --as orders-client -- "${@:2}" "${urls[@]}" 2>"$tmp/daemon-$1.log") || { cat "$tmp/daemon-$1.log" >&2; exit 1; }
	printf '| %s | %s |\n' "$1" "$(cut -d' ' -f1 <<<"$said" | paste -sd' ' | sed 's/ / | /g')"
	[ "$said" = "$(printf '200 %s\n' "${urls[@]}")" ] || wrong+="the daemon in $1: $said"$'\n'
}

# follow_page runs the commands of docs/public-names.md, which begin with a server and an API.
follow_page() {
	local page=$here/../../docs/public-names.md name names said bin=$tmp/bin
	mkdir "$bin"
	ln -s "$rolecall" "$bin/rolecall"
	export PATH=$bin:$venvs/public-names/bin:$PATH ROLECALL_DATA=$tmp/page
	cd "$here/../.."
	mapfile -t names < <(sed -n 's/^<!-- run \(.*\) -->$/\1/p' "$page")
	[ "${names[*]:0:2}" = "serve api" ] && [ ${#names[@]} -eq "$(grep -c '^```sh$' "$page")" ] && [ ${#names[@]} -gt 6 ] || {
		echo "compat: docs/public-names.md has commands that would not be run" >&2
		exit 1
	}
	for name in serve api python; do
		grep -qxF -- "$(block "run $name")" README.md || wrong+="README.md has another command: $(block "run $name")"$'\n'
	done
	# A group of processes each, because go run does not pass a signal on to what it runs.
	set -m
	start page-serve '.*"authority":"\([^"]*\)".*' bash -c "$(block "run serve")"
	pids[-1]=-${pids[-1]}
	start page-api 'listening \(.*\)' bash -c "$(block "run api")"
	pids[-1]=-${pids[-1]}
	set +m
	for name in "${names[@]:2}"; do
		said=$(bash -c "$(block "run $name")" 2>&1) || wrong+="docs/public-names.md, $name: exit code $?"$'\n'
		# The last line counts. What has no output of its own prints what the daemon in Python does.
		[ "${said##*$'\n'}" = "$(block "prints $name" || block "prints python")" ] || wrong+="docs/public-names.md, $name: $said"$'\n'
	done
}

# block prints the text behind a mark of the page, and fails if there is none.
block() { # the mark
	awk -v mark="<!-- $1 -->" '
		$0 == mark { found = 1; next }
		found && /^```/ { if (inside) exit; inside = 1; next }
		inside
		END { exit !found }
	' docs/public-names.md
}

main

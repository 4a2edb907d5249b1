#!/usr/bin/env bash
# Runs one small API for each of the usual libraries that check tokens, unmodified, against
# `rolecall serve`, all on loopback, calls each with the same seven tokens, and prints which
# status came back, as a table.
#
#   compat/apis/run.sh ROLECALL
#
# It fails when an API lets in another than the one it should. What the APIs need must be
# installed: compat/run does that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/apis/run.sh ROLECALL}")
python=${COMPAT_PYTHON:-$here/../../.cache/compat/apis/bin/python}
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}"
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1 ROLECALL_DATA=$tmp/data

main() {
	serve
	get_tokens
	eval "$("$rolecall" env --as orders-server --via none)"
	printf '| library | version |'
	printf ' %s |' "${tokens[@]}"
	printf '\n|---|---|---|---|---|---|---|---|---|\n'
	try PyJWT "$(version_of_python PyJWT)" "$python" -B "$here/python/pyjwt_api.py"
	try fastapi-azure-auth "$(version_of_python fastapi-azure-auth)" "$python" -B "$here/python/fastapi_api.py"
	try jose "$(version_of_node jose)" node "$here/node/jose.js"
	try passport-azure-ad "$(version_of_node passport-azure-ad)" node "$here/node/passport-azure-ad.js"
	try express-oauth2-jwt-bearer "$(version_of_node express-oauth2-jwt-bearer)" node "$here/node/express-oauth2-jwt-bearer.js"
	try "Spring Security" "$(version_of_spring)" java -XX:TieredStopAtLevel=1 -jar "$here/java/target/api.jar"
	[ -z "$wrong" ] || { printf 'compat: an API decided wrongly:\n%s' "$wrong" >&2; exit 1; }
}

version_of_python() { "$python" -c 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))' "$1"; }
version_of_node() { node -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$here/node/node_modules/$1/package.json"; }
version_of_spring() { "$python" -m zipfile -l "$here/java/target/api.jar" | sed -n 's|.*/spring-security-oauth2-resource-server-\(.*\)\.jar .*|\1|p'; }

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, then the command
	local log=$tmp/$1.log pattern=$2 deadline=$((SECONDS + 60))
	shift 2
	: >"$log"
	"$@" >"$log" 2>&1 &
	pids+=($!)
	until found=$(sed -n "s|$pattern|\1|p" "$log") && [ -n "$found" ]; do
		if ! kill -0 $! 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			cat "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# serve starts the authority, whose first answer is a token that has expired.
serve() {
	cat >"$tmp/rolecall.yaml" <<-'YAML'
		tenants:
		  - name: contoso
		    domains: [contoso.test]
		    applications:
		      - name: orders-server
		        identifierUris: [api://orders]
		        appRoles:
		          - {value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application, User]}
		        scopes: [{value: Orders.List, displayName: List your orders}]
		      - name: other-server
		        identifierUris: [api://other]
		        appRoles: [{value: Orders.Read, displayName: Read orders, description: Read other orders, members: [Application]}]
		      - name: azure-cli
		        appId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46
		        public: true
		        permissions: [{api: orders-server, scopes: [Orders.List], consent: true}]
		      - name: reader
		        permissions:
		          - {api: orders-server, roles: [Orders.Read], consent: true}
		          - {api: other-server, roles: [Orders.Read], consent: true}
		      - name: stranger
		    users:
		      - userPrincipalName: dev@contoso.test
		        assignments: [{api: orders-server, roles: [Orders.Read]}]
	YAML
	start authority '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --port 0 \
		--fault token:expired,times=1 -o json
}

# get_tokens leaves the seven in token, under their names.
get_tokens() {
	declare -gA token=()
	tokens=(none good "without role" "user's" "other audience" expired changed)
	token[none]=
	token[expired]=$("$rolecall" token --as reader --scope api://orders/.default)
	token[good]=$("$rolecall" token --as reader --scope api://orders/.default)
	token["without role"]=$("$rolecall" token --as stranger --scope api://orders/.default)
	token["user's"]=$("$rolecall" token --as dev@contoso.test --scope api://orders/Orders.List)
	token["other audience"]=$("$rolecall" token --as reader --scope api://other/.default)
	# The claims of the good one, with the signature of the one without the role.
	token[changed]=${token[good]%.*}.${token["without role"]##*.}
}

# try starts an API, calls it with each token and prints the statuses.
wrong=
try() { # the library, its version, the command
	local name=$1 status url which
	printf '| %s | %s |' "$1" "$2"
	[ -n "$2" ] || { echo "compat: $1 is not installed" >&2; exit 1; }
	shift 2
	start "$name" 'listening \(.*\)' "$@"
	url=$found
	for which in "${tokens[@]}"; do
		status=$(ask "$url" "${token[$which]}")
		printf ' %s |' "$status"
		case $which:$status in
		good:200 | none:401 | "other audience:401" | expired:401 | changed:401) ;;
		"without role:40"[13] | "user's:40"[13]) ;;
		*) wrong+="$name, $which: $status"$'\n' ;;
		esac
	done
	echo
}

# ask prints the status of a call. The token is not on the command line, where others see it.
ask() { # the URL, the token
	local header=()
	[ -z "$2" ] || header=(--header @-)
	curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "${header[@]}" "$1/" <<<"Authorization: Bearer $2"
}

main

#!/usr/bin/env bash
# Has Microsoft's Graph SDKs for Python and JavaScript, and CLI for Microsoft 365, manage a directory: make an API and a
# client, grant a role to a managed identity, read it back, page through 1,000 applications, follow changes, and send
# batches. Then the client and the identity call the API, which a guard lets them do by that role. Prints what came of
# each way, as tables.
#
#   compat/graph/run.sh ROLECALL ORDERS
#
# ORDERS is the sample's server (examples/orders/server). The SDKs are told of Rolecall's Graph, and are run once more
# under `rolecall run --public-names` with no option set; CLI for Microsoft 365 is run so alone. It fails when a way
# does. What the programs need must be installed: compat/run does that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/graph/run.sh ROLECALL ORDERS}")
orders=$(realpath "${2:?usage: compat/graph/run.sh ROLECALL ORDERS}")
python=("${COMPAT_VENVS:-$here/../../.cache/compat}/graph/bin/python" -B "$here/python/sdk.py")
node=(node "$here/node/sdk.js")
m365=("$here/m365/m365.sh")
tenant=7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11
bulk=1000
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill -- "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}" "${!MSAL_@}"
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1

main() {
	serve
	for sdk in python node; do
		for mode in here public; do
			manage $sdk $mode
		done
	done
	manage m365 public
	print >"$tmp/table"
	cat "$tmp/table"
	! grep -q FAIL "$tmp/table" || { grep FAIL "$tmp/results" >&2 || true; exit 1; }
}

serve() {
	local i sdk
	{
		cat <<-YAML
			tenants:
			  - name: contoso
			    id: $tenant
			    domains: [contoso.test]
			    applications:
			      - name: administrator
			        permissions:
			          - {api: "https://graph.microsoft.com", roles: [Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All, Directory.Read.All], consent: true}
		YAML
		for ((i = 1; i <= bulk; i++)); do
			printf '      - {name: bulk-%04d}\n' $i
		done
		echo '    managedIdentities:'
		for sdk in python-here python-public node-here node-public m365-public; do
			echo "      - {name: $sdk-identity, type: system}"
		done
	} >"$tmp/rolecall.yaml"
	start authority '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/data" --port 0 -o json
}

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, the command
	local log=$tmp/$1.log deadline=$((SECONDS + 60))
	: >"$log"
	"${@:3}" >"$log" 2>&1 &
	pids+=($!)
	until found=$(sed -n "s|$2|\1|p" "$log") && [ -n "$found" ]; do
		if ! kill -0 $! 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			echo "compat: $1 did not start" >&2
			cat "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# led leaves in by how programs run that are led here. Under the public names they have a network of their own: httpx, on
# which the SDK for Python is built, stops at the exception from proxies for [::1], which .NET needs.
led() { # the mode
	by=("$rolecall" run --data "$tmp/data")
	[ "$1" != public ] || by+=(--public-names --offline --netns)
}

# manage has one program make an API and a client, and the two then call it.
manage() { # the program, the mode
	local name=$1-$2 made server url version way result by
	local -n program=$1
	version=$(version_of "$1")
	if [ "$2" = public ] && [ -z "${COMPAT_ALONE-yes}" ]; then
		note "$1" "$version" "$2" everything skipped
		return
	fi
	led "$2"
	case $1 in
	m365) "${by[@]}" --as administrator --via secret -- "${program[@]}" "$name" >"$tmp/$name.out" 2>"$tmp/$name.errors" || true ;;
	*) "${by[@]}" --as administrator --via secret -- "${program[@]}" manage "$name" "$2" >"$tmp/$name.out" 2>"$tmp/$name.errors" || true ;;
	esac
	made=$(tail -n 1 "$tmp/$name.out")
	while IFS=$'\t' read -r way result; do
		[ -z "$result" ] || note "$1" "$version" "$2" "$way" "$result"
	done <"$tmp/$name.out"
	if [ -z "$(member api "$made")" ]; then
		note "$1" "$version" "$2" create "FAIL: $(tr -s '[:space:]' ' ' <"$tmp/$name.errors" | tail -c 300)"
		return
	fi
	serve_orders "$2" "$(member api "$made")" "$(member uri "$made")"
	[ "$2" != public ] || by+=(--forward "$port")
	as "$1" "$2" identity "$made" --as "$name-identity" --via app-service
	[ "$1" = m365 ] || as "$1" "$2" client "$made" --as "$(member client "$made")" --via secret
	kill "$server" && wait "$server" 2>/dev/null || true
}

# as has a program call the API as somebody.
as() { # the program, the mode, what the way is called, what was made, then whom
	local caller=("${python[@]}") result=ok
	[ "$1" != node ] || caller=("${node[@]}")
	"${by[@]}" "${@:5}" -- "${caller[@]}" call "$(member uri "$4")" "$url" >"$tmp/call" 2>&1 ||
		result="FAIL: $(tr -s '[:space:]' ' ' <"$tmp/call" | tail -c 300)"
	note "$1" "$version" "$2" "$3" "$result"
}

# serve_orders runs the Orders API and leaves its URL in url, and its process in server. Under the public names it trusts
# Microsoft's authority, which is what the tokens are from there. Its guard fetches keys through no proxy, so it has a
# network of its own.
serve_orders() { # the mode, the app id, the identifier URI
	local authority=("$rolecall" run --data "$tmp/data" --as administrator --via none) address=127.0.0.1:0
	if [ "$1" = public ]; then
		((++port))
		address=127.0.0.1:$port
		authority+=(--public-names --offline --netns --publish $port)
	fi
	start "orders-$2" '.*msg=listening address=\([^ ]*\)$' "${authority[@]}" -- env \
		ORDERS_TENANT_ID=$tenant ORDERS_SERVER_APP_ID="$2" ORDERS_SERVER_AUDIENCE="$3" "$orders" -listen $address
	url=http://${found#http://}/api/GetOrders server=${pids[-1]}
}
port=7071

member() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$2"; } # of one line of JSON

version_of() {
	case $1 in
	python) "${python[0]}" -c 'import importlib.metadata as m; print(m.version("msgraph-sdk"))' ;;
	node) node -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$here/node/node_modules/@microsoft/microsoft-graph-client/package.json" ;;
	m365) node -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$here/m365/node_modules/@pnp/cli-microsoft365/package.json" ;;
	esac
}

note() { printf '%s\t%s\t%s\t%s\t%s\n' "$@" | tee -a "$tmp/results" >&2; } # the program, its version, the mode, the way, the result

print() { awk -F'\t' -f "$here/table.awk" "$tmp/results"; }

main

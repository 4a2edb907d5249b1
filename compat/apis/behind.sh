#!/usr/bin/env bash
# Puts programs that know nothing of tokens behind `rolecall guard`, as docs/guard.md has them, by a
# guard.yaml and by a document of App Service, and calls each without a token, with a token without
# the role, and with a good one: 401, 403 and 200, and who called is in the program's log.
#
#   compat/apis/behind.sh ROLECALL
#
# What the programs need must be installed: compat/run does that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/apis/behind.sh ROLECALL}")
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
	cat >"$tmp/rolecall.yaml" <<-'YAML'
		tenants:
		  - name: contoso
		    domains: [contoso.test]
		    applications:
		      - name: orders-server
		        identifierUris: [api://orders]
		        appRoles:
		          - {value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application]}
		      - name: reader
		        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
		      - name: stranger
	YAML
	start authority '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --port 0 -o json
	eval "$("$rolecall" env --as orders-server --via none)"
	good=$("$rolecall" token --as reader --scope api://orders/.default)
	other=$("$rolecall" token --as stranger --scope api://orders/.default)
	object=$("$rolecall" token --as reader --scope api://orders/.default -o claims | sed -n 's/.*"oid": "\([^"]*\)".*/\1/p')
	try FastAPI "$python" -B "$here/python/behind.py"
	try Express node "$here/node/behind.js"
	try Spring java -XX:TieredStopAtLevel=1 -jar "$here/java-behind/target/behind.jar"
}

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, then the command
	local log=$tmp/$1.log pattern=$2 deadline=$((SECONDS + 60))
	shift 2
	: >"$log"
	"$@" >"$log" 2>&1 &
	pids+=($!)
	until found=$(sed -n "s|$pattern|\1|p" "$log" | head -n 1) && [ -n "$found" ]; do
		if ! kill -0 $! 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			cat "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# try puts a program behind a guard and calls it.
try() { # its name, the command
	local name=$1 port deadline=$((SECONDS + 60))
	shift
	port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
	PORT=$port SERVER_PORT=$port SERVER_ADDRESS=127.0.0.1 "$@" >"$tmp/$name.log" 2>&1 &
	pids+=($!)
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		[ $SECONDS -lt $deadline ] && kill -0 $! || { cat "$tmp/$name.log" >&2; exit 1; }
		sleep 0.1
	done
	cat >"$tmp/guard.yaml" <<-YAML
		listen: 127.0.0.1:0
		upstream: http://127.0.0.1:$port
		authority: ${AZURE_AUTHORITY_HOST%/}/$AZURE_TENANT_ID
		audience: [api://orders, $AZURE_CLIENT_ID]
		rules:
		  - {path: /api/GetOrders, methods: [GET], roles: [Orders.Read]}
	YAML
	# The same as an app of App Service has it, whose document enforces no role.
	cat >"$tmp/authsettings.json" <<-JSON
		{"platform": {"enabled": true}, "globalValidation": {"requireAuthentication": true, "unauthenticatedClientAction": "Return401"},
		 "identityProviders": {"azureActiveDirectory": {"enabled": true,
		   "registration": {"openIdIssuer": "${AZURE_AUTHORITY_HOST%/}/$AZURE_TENANT_ID/v2.0", "clientId": "$AZURE_CLIENT_ID"},
		   "validation": {"allowedAudiences": ["api://orders"]}}}}
	JSON
	start "guard-$name-azure" '^guards at \(.*\)' "$rolecall" guard --config "$tmp/authsettings.json" --upstream "http://127.0.0.1:$port" --listen 127.0.0.1:0
	refusing "$name behind authsettings.json"
	start "guard-$name" '^guards at \(.*\)' "$rolecall" guard --config "$tmp/guard.yaml"
	refusing "$name"
	grep -q "orders for $object with .*Orders.Read" "$tmp/$name.log" || fail "$name does not know who called"
	[ "$(grep -c 'orders for' "$tmp/$name.log")" = 2 ] || fail "$name was asked by others as well"
	echo "$name: 401, 403, 200, for $object"
}

# refusing calls by way of the guard that was started last.
refusing() { # what answers
	local want token status
	for want in 401 403 200; do
		case $want in 401) token= ;; 403) token=$other ;; 200) token=$good ;; esac
		status=$(ask "http://$found/api/GetOrders" "$token")
		[ "$status" = "$want" ] || fail "$1 answers $status, want $want"
	done
}

fail() {
	echo "compat: $1" >&2
	tail -n 20 "$tmp"/*.log >&2
	exit 1
}

# ask prints the status of a call. The token is not on the command line, where others see it.
ask() { # the URL, the token
	local header=()
	[ -z "$2" ] || header=(--header @-)
	curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "${header[@]}" "$1" <<<"Authorization: Bearer $2"
}

main

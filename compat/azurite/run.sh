#!/usr/bin/env bash
# Drives Azure Storage's client library, unmodified, as a managed identity against Azurite
# with tokens of `rolecall serve`, all on loopback.
#
#   compat/azurite/run.sh ROLECALL
#
# The packages must be installed: npm ci, in this folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/azurite/run.sh ROLECALL}")
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}"
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, then the command
	local log=$tmp/$1.log pattern=$2 deadline=$((SECONDS + 60))
	shift 2
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

cat >"$tmp/rolecall.yaml" <<'YAML'
tenants:
  - name: contoso
    managedIdentities: [{name: orders-client-mi, type: system}]
YAML
openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
	-keyout "$tmp/azurite.key" -out "$tmp/azurite.crt" 2>/dev/null
cd "$here"

# try has the program store orders in an Azurite of its own, with tokens of a server of its own.
try() { # a name, flags of serve, --, flags of run
	local serve=() name=$1
	shift
	while [ "$1" != -- ]; do
		serve+=("$1")
		shift
	done
	printf '\n%s\n' "$name"
	start "azurite-$name" '.*listens on \(https://[^ ]*\).*' node_modules/.bin/azurite-blob --disableTelemetry --oauth basic \
		--cert "$tmp/azurite.crt" --key "$tmp/azurite.key" --blobHost 127.0.0.1 --blobPort 0 --inMemoryPersistence --skipApiVersionCheck
	export COMPAT_BLOBS=$found/devstoreaccount1
	start "rolecall-$name" '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/$name" --port 0 "${serve[@]}" -o json
	# What `rolecall run` trusts besides the authority is what its caller trusts.
	NODE_EXTRA_CA_CERTS=$tmp/azurite.crt SSL_CERT_FILE=$tmp/azurite.crt \
		"$rolecall" run --data "$tmp/$name" --as orders-client-mi "${@:2}" -- node --test --test-reporter=spec storage.test.js
}

# Azurite takes tokens of version 1.0 whose issuer is Microsoft's.
try v1-issuer --v1-issuer 'https://sts.windows.net/{tenantid}/' --
try public-names -- --public-names --offline

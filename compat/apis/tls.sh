#!/usr/bin/env bash
# Has programs in the usual languages ask `rolecall serve`, on loopback, for its metadata:
# without its CA bundle, with the bundle of another folder, by a name that its certificate
# does not have, and with the bundle. Prints what each says, as a table.
#
#   compat/apis/tls.sh ROLECALL GO-PROGRAM
#
# It fails when a program says something else, or still refuses with the variable that the
# table names set, and no other.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/apis/tls.sh ROLECALL GO-PROGRAM}")
ask_go=$(realpath "${2:?usage: compat/apis/tls.sh ROLECALL GO-PROGRAM}")
python=${COMPAT_PYTHON:-$here/../../.cache/compat/apis/bin/python}
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}" SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE JAVA_TOOL_OPTIONS
export NO_PROXY=localhost,127.0.0.1,127.0.0.2 no_proxy=localhost,127.0.0.1,127.0.0.2

main() {
	local one another
	serve one 127.0.0.1
	one=https://localhost:$port
	serve another 127.0.0.2
	another=https://127.0.0.2:$port
	echo '| client | the authority is not trusted | its certificate has another name | variable |'
	echo '|---|---|---|---|'
	try curl CURL_CA_BUNDLE 'SSL certificate problem: unable to get local issuer certificate' \
		'no alternative certificate subject name matches target' curl -sS -o "$tmp/answer"
	try Go SSL_CERT_FILE 'x509: certificate signed by unknown authority' 'x509: certificate is valid for 127.0.0.1, ::1, not' "$ask_go"
	try Node NODE_EXTRA_CA_CERTS UNABLE_TO_VERIFY_LEAF_SIGNATURE ERR_TLS_CERT_ALTNAME_INVALID node "$here/tls/ask.js"
	local failed='[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate'
	local mismatch='[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch'
	try 'Python, ssl and urllib' SSL_CERT_FILE "$failed" "$mismatch" "$python" -B "$here/tls/ask.py" urllib
	try 'Python, requests' REQUESTS_CA_BUNDLE "$failed" "$mismatch" "$python" -B "$here/tls/ask.py" requests
	try 'Python, httpx' SSL_CERT_FILE "$failed" "$mismatch" "$python" -B "$here/tls/ask.py" httpx
	try Java JAVA_TOOL_OPTIONS 'PKIX path building failed' 'No subject alternative names matching' java "$here/tls/Ask.java"
}

# serve starts a server on a folder and leaves its port in port.
serve() { # the folder, the address
	local out=$tmp/$1.out deadline=$((SECONDS + 60))
	printf 'tenants: [{name: contoso, domains: [contoso.test], applications: [{name: orders}]}]\n' >"$tmp/rolecall.yaml"
	: >"$out"
	"$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/$1" --listen "$2" --port 0 -o json >"$out" 2>"$tmp/$1.log" &
	pids+=($!)
	until port=$(sed -n 's|.*"authority":"https://localhost:\([^"]*\)".*|\1|p' "$out") && [ -n "$port" ]; do
		if ! kill -0 $! 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			cat "$tmp/$1.log" >&2
			exit 1
		fi
		sleep 0.1
	done
	"$rolecall" env --data "$tmp/$1" --as orders --via none -o json >"$tmp/$1.json"
}

# try has a program ask and prints its row.
try() { # its name, the variable, what it says, what it says of a name, the command
	local name=$1 variable=$2 untrusted=$3 misnamed=$4 path=/contoso.test/v2.0/.well-known/openid-configuration
	shift 4
	says "$name" "$untrusted" "$@" "$one$path"
	says "$name, another's bundle" "$untrusted" with "$variable" another "$@" "$one$path"
	says "$name, another name" "$misnamed" with "$variable" another "$@" "$another$path"
	with "$variable" one "$@" "$one$path" >"$tmp/said" 2>&1 || wrong "$name, with $variable"
	printf '| %s | `%s` | `%s` | `%s` |\n' "$name" "$untrusted" "$misnamed" "$variable"
}

# with runs a command with one of the variables that `rolecall env` gives.
with() { # the variable, the folder, the command
	local value
	value=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$tmp/$2.json" "$1")
	env "$1=$value" "${@:3}"
}

says() { # what it is, the text, the command
	if "${@:3}" >"$tmp/said" 2>&1 || ! grep -qF -- "$2" "$tmp/said"; then
		wrong "$1: not $2"
	fi
}

wrong() {
	echo "compat: $1" >&2
	cat "$tmp/said" >&2
	exit 1
}

main

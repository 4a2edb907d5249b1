#!/usr/bin/env bash
# Runs programs that know nothing of Rolecall, with Microsoft's public host names in their source
# and no option set, under `rolecall run --public-names`, and prints what came of each way.
#
#   compat/untouched/run.sh ROLECALL [go|node|python|java|azure-cli|rust|kubelogin ...]
#
# It fails when a client does not get through. What the programs need must be installed, and
# COMPAT_GO, COMPAT_CLASS_PATH, COMPAT_PYTHON, COMPAT_AZ, COMPAT_RUST and COMPAT_KUBELOGIN say
# where it is: compat/run does that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/untouched/run.sh ROLECALL [SUITE ...]}")
shift
suites=("$@")
[ $# -gt 0 ] || suites=(go node python java azure-cli)
tmp=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}" "${!MSAL_@}"

main() {
	local suite
	settings
	serve
	for by in $(ways_in); do
		for suite in "${suites[@]}"; do
			suite_"${suite//-/_}"
		done
	done
	as orders-client -- "$COMPAT_PYTHON" -B "$here/judge.py" <"$tmp/said" >"$tmp/results"
	awk -f "$here/table.awk" -v suites="${suites[*]}" -v by="$(ways_in)" -v failed="$tmp/failed" "$tmp/results"
	[ -n "${COMPAT_ALONE-yes}" ] || printf '\nBy namespace: skipped.\n'
	[ ! -s "$tmp/failed" ] || { cat "$tmp/failed" >&2; exit 1; }
}

# ways_in lists how programs are led here: by a proxy, and where a network of one's own can be
# made, by a namespace in which the names resolve to this machine.
ways_in() {
	echo proxy
	[ -z "${COMPAT_ALONE-yes}" ] || echo namespace
}

settings() {
	export COMPAT_CLIENT_ID=c11e0001-5a5a-4c4c-8d8d-000000000001 COMPAT_SYSTEM_OBJECT_ID=0b1ec7a1-5a5a-4c4c-8d8d-00000000000a
	export COMPAT_V1_RESOURCE=api://orders-v1 COMPAT_V1_AUDIENCE=api://orders-v1
	export COMPAT_V1_APP_ID=a9100001-5a5a-4c4c-8d8d-000000000001
	export COMPAT_V2_RESOURCE=api://orders COMPAT_V2_AUDIENCE=a9100002-5a5a-4c4c-8d8d-000000000002
	export COMPAT_CERT=$tmp/client.pem COMPAT_CHAIN=$tmp/chain.pem COMPAT_PASSWORD
	export COMPAT_CERT_PFX=$tmp/client.pfx COMPAT_CHAIN_PFX=$tmp/chain.pfx
	COMPAT_PASSWORD=$(openssl rand -hex 20)
	local new=(-newkey rsa:2048 -nodes -sha256)
	(
		cd "$tmp"
		openssl req -x509 "${new[@]}" -days 2 -subj "/CN=orders-client" -keyout client.key -out client.crt
		openssl req -x509 "${new[@]}" -days 2 -subj "/CN=issuer of clients" -keyout issuer.key -out issuer.crt
		openssl req -new "${new[@]}" -subj "/CN=orders-client, issued" -keyout issued.key -out issued.csr
		openssl x509 -req -sha256 -days 2 -in issued.csr -out issued.crt -CA issuer.crt -CAkey issuer.key -CAcreateserial
		cat client.key client.crt >client.pem
		cat issued.key issued.crt issuer.crt >chain.pem
		openssl pkcs12 -export -in client.pem -out client.pfx -passout pass:
		openssl pkcs12 -export -in chain.pem -out chain.pfx -passout pass:
	) 2>/dev/null
	cat >"$tmp/rolecall.yaml" <<-YAML
		tenants:
		  - name: contoso
		    domains: [contoso.test]
		    applications:
		      - name: orders-server
		        appId: $COMPAT_V2_AUDIENCE
		        identifierUris: [$COMPAT_V2_RESOURCE]
		        appRoles:
		          - {value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application, User]}
		        scopes: [{value: Orders.List, displayName: List your orders}]
		      - name: orders-server-v1
		        appId: $COMPAT_V1_APP_ID
		        identifierUris: [$COMPAT_V1_RESOURCE]
		        requestedAccessTokenVersion: 1
		        appRoles:
		          - {value: Orders.Read, displayName: Read orders, description: Read every order, members: [Application]}
		        scopes: [{value: Orders.List, displayName: List your orders}]
		      - name: orders-client
		        appId: $COMPAT_CLIENT_ID
		        certificates: [{name: self-signed, file: client.crt}, {name: issued, file: issued.crt}]
		        permissions:
		          - {api: orders-server, roles: [Orders.Read], consent: true}
		          - {api: orders-server-v1, roles: [Orders.Read], consent: true}
		          - api: "https://graph.microsoft.com"
		            roles: [Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All, DelegatedPermissionGrant.ReadWrite.All, Directory.ReadWrite.All, User.ReadWrite.All]
		            consent: true
	YAML
	cat >>"$tmp/rolecall.yaml" <<-'YAML'
		      - name: kubelogin
		        appId: 80faf920-1908-4b52-b5ef-a8e7bedfc67a
		        public: true
		        redirectUris: [http://localhost]
		        permissions:
		          - {api: orders-server, scopes: [Orders.List], consent: true}
		          - {api: orders-server-v1, scopes: [Orders.List], consent: true}
	YAML
	printf '      - {name: refused-%s}\n' "${suites[@]}" >>"$tmp/rolecall.yaml"
	cat >>"$tmp/rolecall.yaml" <<-YAML
		    managedIdentities:
		      - name: orders-system
		        id: $COMPAT_SYSTEM_OBJECT_ID
		        type: system
		        assignments: [{api: orders-server, roles: [Orders.Read]}]
		    users:
		      - {userPrincipalName: dev@contoso.test, password: {value: "$COMPAT_PASSWORD"}}
	YAML
}

serve() {
	local deadline=$((SECONDS + 60))
	"$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/data" --port 0 --allow-passwords -o json >"$tmp/server.log" 2>&1 &
	server=$!
	until grep -q '"authority"' "$tmp/server.log"; do
		if ! kill -0 "$server" 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			cat "$tmp/server.log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# as runs a program as somebody, led here by the public names alone.
by=proxy
as() { # whom, further arguments of rolecall run, --, the program
	local network=()
	[ "$by" = proxy ] || network=(--netns)
	"$rolecall" run --data "$tmp/data" --public-names --offline "${network[@]}" --as "$@"
}

# said keeps what a program says, beside the way in.
said() { # the program under as
	"$@" 2>"$tmp/errors" | sed "s|^|$by\t|" >>"$tmp/said" || { cat "$tmp/errors" >&2; return 1; }
	[ -z "${VERBOSE:-}" ] || cat "$tmp/errors" >&2
}

# library takes the libraries of a language down every way.
library() { # the suite, then the program
	local suite=$1
	shift
	said as orders-client --via secret -- "$@" secret certificate "certificate chain" environment DefaultAzureCredential "v1.0 token"
	said as "refused-$suite" --via secret -- "$@" "wrong secret" "unknown tenant"
	said as orders-system --via app-service -- "$@" "managed identity"
	said as orders-system --via imds -- "$@" IMDS
	said as orders-system --via workload -- "$@" "workload identity"
	said as orders-client --via cli -- "$@" az azd
}

suite_go() { library go "$COMPAT_GO"; }
suite_node() { library node node "$here/../node/untouched.js"; }
suite_python() {
	library python "$COMPAT_PYTHON" -B "$here/../python/untouched.py"
	said as orders-system --via imds -- "$COMPAT_PYTHON" -B "$here/federation.py"
}
suite_java() { library java java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$(cat "$COMPAT_CLASS_PATH")" compat.Untouched; }
# areas of administration: all of them, which takes minutes, in one of the ways in.
areas() { [ "$by" = proxy ] || echo permissions:rest; }

suite_azure_cli() {
	local az=(env PATH="$COMPAT_AZ:$PATH" HOME="$tmp" AZURE_CORE_COLLECT_TELEMETRY=false COMPAT_AREAS="$(areas)" bash "$here/az.sh")
	said as orders-client --via secret -- "${az[@]}" "service principal, secret" "service principal, certificate" administration
	said as orders-system --via app-service -- "${az[@]}" "managed identity"
}
suite_rust() { library rust "$COMPAT_RUST"; }
suite_kubelogin() {
	local kubelogin=(env HOME="$tmp" "$COMPAT_PYTHON" -B "$here/kubelogin.py" "$COMPAT_KUBELOGIN")
	said as orders-client --via secret -- "${kubelogin[@]}" "spn, secret" "spn, certificate" "spn, legacy" "spn certificate, legacy" "spn, PoP" \
		devicecode "devicecode, legacy" interactive ropc
	said as orders-system --via imds -- "${kubelogin[@]}" msi
	said as orders-system --via workload -- "${kubelogin[@]}" workloadidentity
	said as orders-client --via workload -- "${kubelogin[@]}" azurepipelines
	said as orders-client --via cli -- "${kubelogin[@]}" azurecli azd
}

main

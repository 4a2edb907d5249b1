#!/usr/bin/env bash
# m365.sh NAME URL: has CLI for Microsoft 365, in its default cloud, sign in by secret, make an API, grant its role to
# the managed identity NAME-identity, and look at what came of it. Prints each way and its result.
set -uo pipefail

name=$1
m365=("$(dirname "${BASH_SOURCE[0]}")/node_modules/.bin/m365")
role=Orders.Read
HOME=$(mktemp -d)
export HOME CLIMICROSOFT365_NOUPDATE=1
trap 'rm -rf "$HOME"' EXIT

main() {
	silently cli config set --key disableTelemetry --value true
	silently cli config set --key showSpinner --value false
	silently cli config set --key prompt --value false
	way login login --authType secret --appId "$AZURE_CLIENT_ID" --tenant "$AZURE_TENANT_ID" --secret "$AZURE_CLIENT_SECRET"
	way "app add" entra app add --name "$name-api" --uri "api://$name" --apisApplication https://graph.microsoft.com/User.Read.All --withSecret
	app=$(member appId)
	has secret
	way "app role add" entra app role add --appId "$app" --name "Read orders" --description "Read every order" --allowedMembers applications --claim $role
	way "app role list" entra app role list --appId "$app"
	has "\"value\": \"$role\""
	way "app get" entra app get --appId "$app"
	has "api://$name"
	way "enterpriseapp add" entra enterpriseapp add --id "$app"
	way "enterpriseapp get" entra enterpriseapp get --id "$app"
	has "\"servicePrincipalType\": \"Application\""
	way "approleassignment add" entra approleassignment add --appDisplayName "$name-identity" --resource "$name-api" --scopes $role
	way "approleassignment list" entra approleassignment list --appDisplayName "$name-identity"
	has "\"roleName\": \"$role\""
	way "app permission list" entra app permission list --appId "$app"
	way "approleassignment remove" entra approleassignment remove --appDisplayName "$name-identity" --resource "$name-api" --scopes $role --force
	way "approleassignment add again" entra approleassignment add --appDisplayName "$name-identity" --resource "$name-api" --scopes $role
	print
	printf '{"api": "%s", "uri": "%s"}\n' "$app" "api://$name"
}

silently() { "${m365[@]}" "$@" >/dev/null 2>&1; }

# way runs a command and remembers what came of it, and its output.
ways=() results=()
way() { # what the way is called, the command
	local result=ok
	ways+=("$1")
	shift
	output=$("${m365[@]}" "$@" --output json 2>"$HOME/errors") || result="FAIL: $(tr -s '[:space:]' ' ' <"$HOME/errors" | cut -c 1-300)"
	results+=("$result")
}

# has requires a text in the output of the last way.
has() {
	case $output in
	*"$1"*) ;;
	*) [[ ${results[-1]} = FAIL* ]] || results[-1]="FAIL: no $1 in ${output:0:300}" ;;
	esac
}

# member is a text member of the last output.
member() { sed -n "s/^ *\"$1\": \"\([^\"]*\)\".*/\1/p" <<<"$output" | head -n 1; }

print() {
	local i
	for i in "${!ways[@]}"; do
		printf '%s\t%s\n' "${ways[i]}" "$(tr -s '[:space:]' ' ' <<<"${results[i]}")"
	done
}

main

#!/usr/bin/env bash
# az.sh WAY...: has the Azure CLI, in its default cloud and with a configuration of its own, sign in
# and get a token in each way, and prints what came of it. For the way administration it first does
# what administrators do, or the areas of that in COMPAT_AREAS.
set -uo pipefail

administer() {
	local areas=()
	IFS=: read -ra areas <<<"${COMPAT_AREAS:-}"
	COMPAT_DEFAULT_CLOUD=yes python -B "$(dirname "$0")/../azure-cli/administration.py" "${areas[@]}" >&2
}

version=$(az version --query '"azure-cli"' --output tsv)
for way in "$@"; do
	AZURE_CONFIG_DIR=$(mktemp -d)
	export AZURE_CONFIG_DIR
	case $way in
	"service principal, secret" | administration) login=(--service-principal --username "$AZURE_CLIENT_ID" --password="$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID") ;;
	"service principal, certificate") login=(--service-principal --username "$AZURE_CLIENT_ID" --certificate "$COMPAT_CERT" --tenant "$AZURE_TENANT_ID") ;;
	"managed identity") login=(--identity) ;;
	esac
	outcome=error
	if az login "${login[@]}" --output none 2>"$AZURE_CONFIG_DIR/errors" &&
		{ [ "$way" != administration ] || administer 2>>"$AZURE_CONFIG_DIR/errors"; } &&
		text=$(az account get-access-token --resource "$COMPAT_V2_RESOURCE" --query accessToken --output tsv 2>>"$AZURE_CONFIG_DIR/errors"); then
		outcome=token
	else
		text=$(cat "$AZURE_CONFIG_DIR/errors")
	fi
	printf '%s\t%s\t%s\t%s\t%s\n' "Azure CLI" "$version" "$way" "$outcome" "$(xargs <<<"${text//[\"\'\\]/}")"
	rm -rf "$AZURE_CONFIG_DIR"
done

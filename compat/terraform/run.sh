#!/usr/bin/env bash
# Follows docs/terraform.md with Terraform and HashiCorp's providers themselves: apply, a second plan that is empty,
# import, a change, the guarded calls, destroy.
#
#   compat/terraform/run.sh ROLECALL ORDERS
#
# ORDERS is the sample's server (examples/orders/server). Where Terraform or its providers are not to be had it says so and
# ends. Terraform finds providers as it always does: in its registry, a mirror that its configuration names
# (TF_CLI_CONFIG_FILE), or TF_PLUGIN_CACHE_DIR. It takes some minutes: the providers wait 25 seconds after each delete.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rolecall=$(realpath "${1:?usage: compat/terraform/run.sh ROLECALL ORDERS}")
orders=$(realpath "${2:?usage: compat/terraform/run.sh ROLECALL ORDERS}")
page=$here/../../docs/terraform.md
tmp=$(mktemp -d)
pids=()
finish() {
	[ ${#pids[@]} -eq 0 ] || { kill -- "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
unset "${!AZURE_@}" "${!ARM_@}"
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1 CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0

main() {
	command -v terraform >/dev/null || left_out "terraform is not installed"
	mkdir "$tmp/configuration"
	block hcl >"$tmp/configuration/main.tf"
	cd "$tmp/configuration"
	terraform init -no-color >"$tmp/init" 2>&1 || left_out "the providers azuread and azurerm are not to be had: $(grep -m 1 '^Error' "$tmp/init")"
	serve
	environment
	terraform validate -no-color
	step "apply" terraform apply -auto-approve
	step "a second plan is empty" terraform plan -detailed-exitcode
	step "the calls" calls
	step "import" import
	sed -i 's/description          = "Read every order"/description          = "Read all orders"/' main.tf
	step "a change" terraform apply -auto-approve
	step "nothing more to change" terraform plan -detailed-exitcode
	step "destroy" terraform destroy -auto-approve
	echo "Terraform $(terraform version -json | sed -n 's/.*"terraform_version": "\(.*\)".*/\1/p'): ok"
}

left_out() {
	echo "compat/terraform: left out: $*"
	exit 0
}

step() { # what it is called, the command
	echo "compat/terraform: $1"
	"${@:2}" >"$tmp/step" 2>&1 || { cat "$tmp/step" >&2; exit 1; }
}

block() { awk -v open="\`\`\`$1" '$0 == "```" { inside = 0 } inside; $0 == open { inside = 1 }' "$page"; } # a kind of code on the page

serve() {
	TERRAFORM_SECRET=$(openssl rand -hex 24)
	export TERRAFORM_SECRET
	block yaml >"$tmp/rolecall.yaml"
	start authority '.*"authority":"\([^"]*\)".*' "$rolecall" serve --config "$tmp/rolecall.yaml" --data "$tmp/data" --port 0 -o json
}

# environment exports what the page tells to export, and what `rolecall env` knows of it.
environment() {
	local line arm
	line=$(grep -m 1 '"authority"' "$tmp/authority.log")
	arm=$(member arm "$line")
	ARM_METADATA_HOSTNAME=${arm#https://} SSL_CERT_FILE=$(member caBundle "$line") ARM_TENANT_ID=$(member id "$line")
	ARM_CLIENT_ID=$("$rolecall" run --data "$tmp/data" --as terraform --via secret -- printenv AZURE_CLIENT_ID)
	ARM_CLIENT_SECRET=$TERRAFORM_SECRET
	ARM_SUBSCRIPTION_ID=$(subscription "$arm")
	export ARM_METADATA_HOSTNAME SSL_CERT_FILE ARM_TENANT_ID ARM_CLIENT_ID ARM_CLIENT_SECRET ARM_SUBSCRIPTION_ID
}

subscription() { # the resource manager
	local token
	token=$("$rolecall" token --data "$tmp/data" --as terraform --resource https://management.core.windows.net/)
	curl --silent --fail --cacert "$SSL_CERT_FILE" --header "Authorization: Bearer $token" "$1/subscriptions?api-version=2022-12-01" |
		sed -n 's/.*"subscriptionId": *"\([^"]*\)".*/\1/p'
}

calls() {
	local who
	start orders '.*msg=listening address=\([^ ]*\)$' "$rolecall" run --data "$tmp/data" --as terraform --via none -- env \
		ORDERS_SERVER_APP_ID="$(terraform output -raw api_id)" ORDERS_SERVER_AUDIENCE=api://orders "$orders" -listen 127.0.0.1:0
	for who in orders-client orders-identity; do
		"$rolecall" call --data "$tmp/data" --as $who "$found/api/GetOrders"
	done
}

# import forgets the API and takes it over again by its object id.
import() {
	local id
	id=$(terraform state show -no-color azuread_application.api | sed -n 's/^ *id *= "\(.*\)"/\1/p' | head -n 1)
	terraform state rm azuread_application.api
	terraform import azuread_application.api "$id"
	terraform plan -detailed-exitcode
}

# start runs a server in the background and leaves in found what its log says of its address.
start() { # its name, a pattern of the line with the address, the command
	local log=$tmp/$1.log deadline=$((SECONDS + 60))
	: >"$log"
	"${@:3}" >"$log" 2>&1 &
	pids+=($!)
	until found=$(sed -n "s|$2|\1|p" "$log") && [ -n "$found" ]; do
		if ! kill -0 $! 2>/dev/null || [ $SECONDS -gt $deadline ]; then
			cat "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

member() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$2"; } # of one line of JSON

main

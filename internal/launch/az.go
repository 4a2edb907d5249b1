package launch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// AzureCLI is the application as which az and azd get tokens of users. A tenant that has it
// registered knows it by this id, as Microsoft's cloud does.
const AzureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

// azVersion is the version that the shim says it has: a recent one, for tools that ask
// for a least one.
const azVersion = "2.80.0"

// azArguments are the flags of the commands that the shim knows.
func azArguments() toolFlags {
	return toolFlags{
		takes: map[string]string{
			"-o": "output", "--output": "output", "--query": "query", "--resource": "resource", "--scope": "scope",
			"--tenant": "tenant", "-t": "tenant", "--subscription": "subscription", "-s": "subscription", "-n": "subscription", "--name": "subscription",
			"--resource-type": "resource-type",
		},
		many:    []string{"scope"},
		ignored: []string{"--only-show-errors", "--debug", "--verbose", "--all", "--refresh"},
	}
}

// az answers what Azure's libraries, and Terraform, ask the Azure CLI.
func (s *Shim) az(ctx context.Context, args []string) int {
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-v") { // for people, unlike the command
		fmt.Fprintf(s.Out, "azure-cli  %s\n", azVersion)
		return 0
	}
	words, values, err := azArguments().parse(args)
	if err != nil {
		return s.azFail(shimUsage, err)
	}
	var answer any
	switch strings.Join(words, " ") {
	case "account get-access-token":
		answer, err = s.azToken(ctx, values)
	case "account show":
		answer = s.azAccount()
	case "account list":
		answer = []any{s.azAccount()}
	case "version":
		answer = map[string]any{"azure-cli": azVersion, "azure-cli-core": azVersion, "azure-cli-telemetry": "1.1.0", "extensions": map[string]any{}}
	default:
		return s.azFail(shimUsage, fmt.Errorf("'%s' is not a command of this az: rolecall stands in for it, and knows account get-access-token, account show, account list and version", text.Clean(strings.Join(words, " "))))
	}
	if err != nil {
		return s.azFail(shimFailed, err)
	}
	if answer, err = pick(answer, last(values, "query")); err != nil {
		return s.azFail(shimUsage, err)
	}
	if err := s.azPrint(last(values, "output"), answer); err != nil {
		return s.azFail(shimUsage, err)
	}
	return 0
}

// azFail words an error as az does. Libraries look for 'az login' to tell that nobody is
// signed in.
func (s *Shim) azFail(code int, err error) int {
	if errors.Is(err, errSignedOut) {
		fmt.Fprintf(s.Err, "ERROR: Please run 'az login' to setup account: %v.\n", err)
		return code
	}
	fmt.Fprintf(s.Err, "ERROR: %v\n", err)
	return code
}

// azToken is the answer to az account get-access-token. Expiry has to be there twice: as a
// number, and as local time with six digits of a second.
func (s *Shim) azToken(ctx context.Context, values map[string][]string) (any, error) {
	scopes := values["scope"]
	resource := last(values, "resource")
	switch {
	case len(scopes) > 0 && resource != "":
		return nil, errors.New("give --resource or --scope, not both")
	case len(scopes) > 1 && s.account.User == "":
		return nil, errors.New("exactly one --scope is supported")
	case last(values, "resource-type") != "" || len(scopes) == 0 && resource == "":
		return nil, errors.New("say which API the token is for, with --resource api://orders or --scope api://orders/.default")
	case last(values, "tenant") != "" && last(values, "subscription") != "":
		return nil, errors.New("give --tenant or --subscription, not both")
	case resource != "":
		scopes = []string{scopeOf(resource)}
	}
	if err := s.foreignTenant(last(values, "tenant")); err != nil {
		return nil, err
	}
	if err := s.foreignSubscription(last(values, "subscription")); err != nil {
		return nil, err
	}
	token, err := s.account.Token(ctx, scopes...)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"accessToken": token.Token, "tokenType": "Bearer",
		"expiresOn": token.ExpiresOn.Local().Format("2006-01-02 15:04:05.000000"), "expires_on": token.ExpiresOn.Unix(),
		"subscription": s.account.Tenant, "tenant": s.account.Tenant,
	}, nil
}

// azAccount describes who is signed in. There is no subscription here; az shows a tenant
// without one as an account that has the tenant's id.
func (s *Shim) azAccount() map[string]any {
	user := map[string]any{"name": s.account.ClientID, "type": "servicePrincipal"}
	switch {
	case s.account.User != "":
		user = map[string]any{"name": s.account.User, "type": "user"}
	case s.account.ManagedIdentity:
		user = map[string]any{"name": "systemAssignedIdentity", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}
	}
	return map[string]any{
		"environmentName": "AzureCloud", "homeTenantId": s.account.Tenant, "id": s.account.Tenant, "isDefault": true, "managedByTenants": []any{},
		"name": azAccountName, "state": "Enabled", "tenantId": s.account.Tenant, "user": user,
	}
}

const azAccountName = "N/A(tenant level account)"

func (s *Shim) foreignSubscription(ref string) error {
	if ref == "" || strings.EqualFold(ref, s.account.Tenant) || strings.EqualFold(ref, azAccountName) {
		return nil
	}
	return fmt.Errorf("the subscription of '%s' doesn't exist: there is only the tenant's own account %s", text.Clean(ref), s.account.Tenant)
}

// pick follows a --query, of which members and members of members are known.
func pick(answer any, query string) (any, error) {
	if query == "" {
		return answer, nil
	}
	for name := range strings.SplitSeq(query, ".") {
		members, ok := answer.(map[string]any)
		if !ok || strings.ContainsAny(name, "[]{}|@*() ") {
			return nil, fmt.Errorf("this az knows queries such as accessToken and user.name, not '%s'", text.Clean(query))
		}
		answer = members[name]
	}
	return answer, nil
}

// azPrint writes an answer as JSON, or one value as tsv.
func (s *Shim) azPrint(format string, answer any) error {
	switch format {
	case "none":
		return nil
	case "tsv":
		switch value := answer.(type) {
		case string, int64, bool:
			_, err := fmt.Fprintln(s.Out, value)
			return err
		}
		return errors.New("this az prints single values as tsv: add a --query such as accessToken")
	case "", "json", "jsonc":
		encoder := json.NewEncoder(s.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(answer)
	}
	return fmt.Errorf("this az knows the formats json, tsv and none, not '%s'", text.Clean(format))
}

// azd answers what Azure's libraries ask the Azure Developer CLI.
func (s *Shim) azd(ctx context.Context, args []string) int {
	flags := toolFlags{
		takes: map[string]string{
			"-o": "output", "--output": "output", "--scope": "scope", "--tenant-id": "tenant", "--claims": "claims",
			"-C": "cwd", "--cwd": "cwd", "-e": "environment", "--environment": "environment",
		},
		ignored: []string{"--no-prompt", "--debug"},
	}
	words, values, err := flags.parse(args)
	if err != nil {
		return s.azdFail(err)
	}
	switch command := strings.Join(words, " "); {
	case command == "version":
		fmt.Fprintln(s.Out, "azd version 1.23.7 (commit 0000000000000000000000000000000000000000)")
		return 0
	case command != "auth token":
		return s.azdFail(fmt.Errorf("unknown command %q: rolecall stands in for azd, and knows auth token and version", text.Clean(command)))
	case len(values["scope"]) != 1 && (s.account.User == "" || len(values["scope"]) == 0):
		return s.azdFail(errors.New("give exactly one --scope, such as api://orders/.default"))
	}
	if err := s.foreignTenant(last(values, "tenant")); err != nil {
		return s.azdFail(err)
	}
	claims, err := decodeClaims(last(values, "claims"))
	if err != nil {
		return s.azdFail(err)
	}
	if s.account.User == "" && !strings.HasSuffix(values["scope"][0], "/.default") {
		// azd, unlike az, asks with the scope as it is.
		return s.azdFail(fmt.Errorf("AADSTS1002012: the scope '%s' is not valid for an application: write the API and /.default, such as api://orders/.default", text.Clean(values["scope"][0])))
	}
	token, err := s.account.tokenWith(ctx, claims, values["scope"])
	if err != nil {
		return s.azdFail(err)
	}
	if last(values, "output") != "json" {
		fmt.Fprintln(s.Out, token.Token)
		return 0
	}
	// Azure.Identity for Go accepts the literal Z alone.
	err = json.NewEncoder(s.Out).Encode(map[string]string{"token": token.Token, "expiresOn": token.ExpiresOn.UTC().Format(time.RFC3339)})
	if err != nil {
		return shimFailed
	}
	return 0
}

// decodeClaims reads a claims request as clients pass it on: in base64, of either alphabet.
func decodeClaims(encoded string) (string, error) {
	if encoded == "" {
		return "", nil
	}
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	claims, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil || !json.Valid(claims) {
		return "", errors.New("the value of --claims is not a claims request in base64")
	}
	return string(claims), nil
}

// azdFail words an error as azd does for programs: one line of JSON.
func (s *Shim) azdFail(err error) int {
	text, suggestion := err.Error(), ""
	if errors.Is(err, errSignedOut) {
		text, suggestion = "not logged in, run `azd auth login` to login: "+text, "Run the program with `rolecall run --via cli`."
	}
	line, err := json.Marshal(map[string]string{"error": text, "message": text, "suggestion": suggestion})
	if err == nil {
		fmt.Fprintf(s.Err, "%s\n", line)
	}
	return shimFailed
}

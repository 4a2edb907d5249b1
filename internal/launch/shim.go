package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// The files of a folder of shims, besides those named like the tools.
const (
	shimFile    = "rolecall-shim.json" // an Account, mode 0600
	programName = "rolecall"           // leads to our program
)

// ShimCommand is the hidden command of our program by which the shims call it: rolecall
// shim FILE TOOL and the tool's arguments.
const ShimCommand = "shim"

// CLIPath is the variable by which the App Authentication library, and go-autorest, find az
// before they look where it is usually.
const CLIPath = "AzureCLIPath"

// An Account is who the shims for az and azd are signed in as, and where they get
// tokens: from the endpoint of a binding, which lasts as long as that, or from the authority
// with a secret.
type Account struct {
	Tenant          string   `json:"tenant"`
	TenantNames     []string `json:"tenantNames,omitempty"` // by which it is known besides: domains, for one
	ClientID        string   `json:"clientId"`
	ManagedIdentity bool     `json:"managedIdentity,omitempty"`
	User            string   `json:"user,omitempty"` // principal name of the user that the client acts for; empty: itself

	Endpoint string `json:"endpoint,omitempty"` // of azd's external authentication
	Key      string `json:"key,omitempty"`

	Authority string `json:"authority,omitempty"`
	Secret    string `json:"secret,omitempty"`
	CABundle  string `json:"caBundle,omitempty"`
}

// String names the type. An account holds secrets, so it does not print itself.
func (Account) String() string { return "launch.Account" }

// GoString does the same for %#v.
func (Account) GoString() string { return "launch.Account{…}" }

// WriteShims fills a folder, which no other user can read, with shims for az and azd;
// program is ours. They find all they need by where they are, so that it does not matter in
// which folder, by which shell and with how much of its environment a library starts them.
func WriteShims(folder, program string, account Account) error {
	content, err := json.Marshal(account) //nolint:gosec // G117: the file is where the secret lives, for its owner alone
	if err != nil {
		return err
	}
	file := filepath.Join(folder, shimFile)
	if err := ReplaceFile(file, content, 0o600); err != nil {
		return err
	}
	ending := ""
	if runtime.GOOS == "windows" {
		ending = ".cmd"
	} else {
		if program, err = Named(folder, program); err != nil {
			return fmt.Errorf("make a shim for az: %w", err)
		}
	}
	for _, tool := range []string{"az", "azd"} {
		if err := ReplaceFile(filepath.Join(folder, tool+ending), []byte(shimScript(program, file, tool)), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Named makes our program callable by its name in a folder, whatever its file is called: a
// test's, for one, decides by that what it is.
func Named(folder, program string) (string, error) {
	link := filepath.Join(folder, programName)
	if runtime.GOOS == "windows" {
		link += ".exe"
	}
	err := os.Symlink(program, link)
	if errors.Is(err, os.ErrExist) {
		return link, nil
	}
	if err != nil { // Windows requires rights for one
		err = os.Link(program, link)
	}
	return link, err
}

func shimScript(program, file, tool string) string {
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("@\"%s\" %s \"%s\" %s %%*\r\n", program, ShimCommand, file, tool)
	}
	return fmt.Sprintf("#!/bin/sh\nexec %s %s %s %s \"$@\"\n", shellQuote(program), ShimCommand, shellQuote(file), tool)
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// A Shim is one call of az or azd.
type Shim struct {
	Out, Err io.Writer
	account  Account
}

// RunShim answers as the tool would, for the account that the file describes, and returns
// the exit code.
func RunShim(ctx context.Context, args []string, out, errOut io.Writer) int {
	s := &Shim{Out: out, Err: errOut}
	if len(args) < 2 {
		fmt.Fprintln(errOut, "ERROR: this command is for the shims of az and azd.")
		return shimUsage
	}
	content, err := os.ReadFile(args[0])
	if err == nil {
		err = json.Unmarshal(content, &s.account)
	}
	if err != nil {
		fmt.Fprintf(errOut, "ERROR: Please run 'az login' to setup account: the sign-in by rolecall is gone (%v).\n", err)
		return shimFailed
	}
	switch args[1] {
	case "az":
		return s.az(ctx, args[2:])
	case "azd":
		return s.azd(ctx, args[2:])
	}
	fmt.Fprintf(errOut, "ERROR: there is no shim for %q.\n", args[1])
	return shimUsage
}

// The exit codes of az.
const (
	shimFailed = 1
	shimUsage  = 2
)

// errSignedOut says that what the account stood for is over: the process that held the
// binding has ended, or its secret was removed.
var errSignedOut = errors.New("the sign-in by rolecall is over")

// foreignTenant refuses a tenant other than the account's.
func (s *Shim) foreignTenant(tenant string) error {
	names := append([]string{"", s.account.Tenant}, s.account.TenantNames...)
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, tenant) }) {
		return nil
	}
	return fmt.Errorf("the account belongs to the tenant %s, not to %s", s.account.Tenant, text.Clean(tenant))
}

// answerLimit bounds an answer of the endpoint.
const answerLimit = 1 << 20

// direct is a client that goes through no proxy, since the endpoint is on this machine, and
// follows no redirect.
func direct() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

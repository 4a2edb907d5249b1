package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// noEnvironment is an environment with nothing in it but a home.
func noEnvironment(t testing.TB) func(string) (string, bool) {
	home := t.TempDir()
	return func(name string) (string, bool) { return home, name == "HOME" }
}

// It is not parallel: a demo has rows with limits of time, and scripts run three of them.
func TestSignInsAreFollowed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), manifestName)
	if err := os.WriteFile(file, []byte(manifest.Starter), 0o600); err != nil {
		t.Fatal(err)
	}
	rolecall := func(args ...string) {
		if code := testCLI(streamsOf(noEnvironment(t), nil, io.Discard, t.Output())).run(t.Context(), append(args, "--data", dir)); code != command.ExitOK {
			t.Errorf("%s: exit code %d", args[0], code)
		}
	}
	rolecall("apply", "-f", file)
	rolecall("token", "--as", "orders-client", "--scope", "api://orders/.default")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- testCLI(streamsOf(noEnvironment(t), nil, write, t.Output())).run(ctx, []string{"signins", "--follow", "-o", "json", "--data", dir})
		write.Close()
	}()
	lines := bufio.NewScanner(read)
	for _, client := range []string{"orders-client", "orders-client-mi"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), `"name":"`+client+`"`) {
			t.Errorf("got %q, want the sign-in of %s", lines.Text(), client)
		}
		if client == "orders-client" {
			rolecall("token", "--as", "orders-client-mi", "--scope", "api://orders/.default")
		}
	}
	stop()
	if lines.Scan() {
		t.Errorf("one more line: %q", lines.Text())
	}
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestDemoKeepRunsUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- testCLI(streamsOf(noEnvironment(t), nil, io.Discard, write)).run(ctx, []string{"demo", "--keep"})
		write.Close()
	}()
	var folder string
	var said strings.Builder // also which row is not as expected
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if _, rest, ok := strings.Cut(lines.Text(), "rolecall signins --data "); ok {
			folder, _, _ = strings.Cut(rest, " ")
			break
		}
	}
	var out bytes.Buffer
	if code := testCLI(streamsOf(noEnvironment(t), nil, &out, io.Discard)).run(ctx, []string{"token", "--data", folder, "--as", "orders-client", "--scope", "api://orders/.default"}); code != command.ExitOK || !strings.HasPrefix(out.String(), "eyJ") {
		t.Errorf("a token from the demo that was kept: exit code %d", code)
	}
	stop()
	go func() { _, _ = io.Copy(io.Discard, read) }()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code %d, want 0:\n%s", code, said.String())
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the demo's folder %s is still there: %v", folder, err)
	}
}

func TestShellQuoting(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	for _, value := range []string{"plain", "with space", "it's", `"double"`, "$HOME `id` \\", "a\nb", ""} {
		out, err := exec.CommandContext(t.Context(), sh, "-c", "printf %s "+shellQuote(value)).Output()
		if err != nil || string(out) != value {
			t.Errorf("quoted %q, the shell read %q (%v)", value, out, err)
		}
	}
}

// A file of variables is read by programs, and by shells: there, too, a value is one word.
func TestDotenvQuoting(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"plain":             "plain",
		"RunAs=App;AppId=1": "'RunAs=App;AppId=1'",
		"a&b|c<d>(e)":       "'a&b|c<d>(e)'",
		"with space":        "'with space'",
		"it's":              `"it's"`,
		`it's $x`:           `"it's \$x"`,
	} {
		if got := dotenvQuote(value); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestQuotingOfOtherShells(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][2]string{
		"plain":     {"'plain'", "'plain'"},
		"it's":      {`'it\'s'`, "'it''s'"},
		`a\b $x`:    {`'a\\b $x'`, `'a\b $x'`},
		"it\u2019s": {"'it\u2019s'", "'it\u2019\u2019s'"}, // a single quote in PowerShell as well
	} {
		if got := [2]string{fishQuote(value), powershellQuote(value)}; got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestChallengeParameters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ challenge, name, want string }{
		{`Bearer realm="api", authorization_uri="https://x/authorize", resource_id="a91"`, "resource_id", "a91"},
		{`Bearer realm="api" authorization_uri="https://x" resource_id=a91`, "resource_id", "a91"},
		{`Bearer realm="api", error="insufficient_scope", scope="api://orders/.default"`, "scope", "api://orders/.default"},
		{`Bearer realm="api"`, "scope", ""},
		{``, "scope", ""},
	} {
		if got := challengeParameter(tt.challenge, tt.name); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.name, tt.challenge, got, tt.want)
		}
	}
}

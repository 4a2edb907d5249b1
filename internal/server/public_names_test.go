package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The metadata of each cloud say what the Azure CLI has built in of it: a tool that reads them goes
// where one goes that does not.
func TestTheMetadataOfEachCloud(t *testing.T) {
	t.Parallel()
	want := map[origin.Cloud]arm.Cloud{
		origin.AzureCloud: {
			Name: "AzureCloud", Login: "https://login.microsoftonline.com", Manager: "https://management.azure.com/",
			Audience: "https://management.core.windows.net/", Graph: "https://graph.microsoft.com/",
		},
		origin.AzureUSGovernment: {
			Name: "AzureUSGovernment", Login: "https://login.microsoftonline.us", Manager: "https://management.usgovcloudapi.net/",
			Audience: "https://management.core.usgovcloudapi.net/", Graph: "https://graph.microsoft.us/",
		},
		origin.AzureChinaCloud: {
			Name: "AzureChinaCloud", Login: "https://login.partner.microsoftonline.cn", Manager: "https://management.chinacloudapi.cn/",
			Audience: "https://management.core.chinacloudapi.cn/", Graph: "https://microsoftgraph.chinacloudapi.cn/",
		},
	}
	for _, cloud := range origin.Clouds() {
		if got := describe(cloud); got != want[cloud] {
			t.Errorf("%s: got %+v, want %+v", cloud, got, want[cloud])
		}
		if _, is := directory.FindBuiltin(want[cloud].Audience); !is {
			t.Errorf("%s: nothing is requested by %s", cloud, want[cloud].Audience)
		}
	}
}

// The page lists every name of Microsoft's that is answered, and by what.
func TestThePageListsThePublicNames(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../../docs/public-names.md", "<!-- names made by internal/server -->\n", "<!-- end of names -->"
	var table strings.Builder
	table.WriteString("| cloud | name | answered by |\n|---|---|---|\n")
	for _, cloud := range origin.Clouds() {
		for _, plan := range publicPlans() {
			for _, host := range plan.hosts(cloud) {
				fmt.Fprintf(&table, "| %s | `%s` | %s |\n", cloud, host, plan.name)
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, behind, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the names", page)
	}
	if got == table.String() {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s differs; if the change is meant, UPDATE=1 go test ./internal/server -run PublicNames rewrites it\ngot:\n%s", page, got)
	}
	if err := os.WriteFile(page, []byte(before+begin+table.String()+end+behind), 0o600); err != nil {
		t.Fatal(err)
	}
}

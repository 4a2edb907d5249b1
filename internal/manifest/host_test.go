package manifest_test

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// boxes is a file with two hosts, each with an identity of its own.
const boxes = `tenants:
  - name: contoso
    managedIdentities: [{name: one, type: system}, {name: two, type: system}, {name: both, type: user}]
    hosts:
      - {name: agent, via: imds, listen: "172.17.0.1:8450", from: [172.17.0.0/16], identities: [one, both], names: [host.docker.internal]}
      - {name: box, listen: "127.0.0.1:8451", identities: [two]}
`

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		edit  []string // old, new, …
		prune bool
		want  []string
	}{
		{name: "nothing", prune: true},
		{name: "a list that is shorter", edit: []string{"[one, both]", "[both]"}, want: []string{"update host agent identities: -one"}},
		{
			name: "identities that change places", edit: []string{"[one, both]", "[two]", "identities: [two]}", "identities: [one]}"},
			want: []string{
				"update host agent identities: -one, identities: -both", "update host box identities: -two",
				"update host agent identities: +two", "update host box identities: +one",
			},
		},
		{
			name: "addresses that change places", edit: []string{"172.17.0.1:8450", "127.0.0.1:8451", "127.0.0.1:8451", "172.17.0.1:8450"},
			want: []string{
				"update host agent listen: 172.17.0.1:8450 → nowhere", "update host box listen: 127.0.0.1:8451 → nowhere",
				"update host agent listen: nowhere → 127.0.0.1:8451", "update host box listen: nowhere → 172.17.0.1:8450",
			},
		},
		{name: "what is left out stays", edit: []string{", from: [172.17.0.0/16]", "", "via: imds, ", "", ", names: [host.docker.internal]", ""}},
		{
			name: "what is left out goes when pruning", prune: true,
			edit: []string{", from: [172.17.0.0/16]", "", "via: imds, ", "", ", names: [host.docker.internal]", ""},
			want: []string{"update host agent platform: imds → app-service, names: -host.docker.internal, from: -172.17.0.0/16"},
		},
		{name: "a host that is left out stays", edit: []string{"      - {name: box, listen: \"127.0.0.1:8451\", identities: [two]}\n", ""}},
		{
			name: "a host that is left out goes when pruning", prune: true,
			edit: []string{"      - {name: box, listen: \"127.0.0.1:8451\", identities: [two]}\n", ""},
			want: []string{"delete host box"},
		},
		{
			name: "an identity that goes leaves its host", prune: true,
			edit: []string{", {name: both, type: user}", "", "[one, both]", "[one]"},
			want: []string{"update host agent identities: -both", "delete servicePrincipal both"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(boxes, manifest.Options{})
			s.want(s.mustApply(strings.NewReplacer(tt.edit...).Replace(boxes), manifest.Options{Prune: tt.prune}), tt.want...)
		})
	}
}

// A host of a user's may give its address to another: meanwhile it is nowhere.
func TestHostsOfUsersMove(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	boxes := strings.Replace(boxes, "name: box", "name: box, user: nightly", 1)
	s.mustApply(boxes, manifest.Options{})
	moved := strings.NewReplacer("127.0.0.1:8451", "127.0.0.1:8452", "172.17.0.1:8450", "127.0.0.1:8451").Replace(boxes)
	s.want(s.mustApply(moved, manifest.Options{}),
		"update host box listen: 127.0.0.1:8451 → nowhere", "update host agent listen: 172.17.0.1:8450 → 127.0.0.1:8451",
		"update host box listen: nowhere → 127.0.0.1:8452",
	)
}

// All tenants of a file have one machine: an address goes from one to another at once.
func TestHostsOfTwoTenantsChangePlaces(t *testing.T) {
	t.Parallel()
	const two = `tenants:
  - name: contoso
    managedIdentities: [{name: one, type: system}]
    hosts: [{name: agent, listen: "127.0.0.1:8450", identities: [one]}]
  - name: fabrikam
    managedIdentities: [{name: one, type: system}]
    hosts: [{name: box, listen: "127.0.0.1:8451", identities: [one]}]
`
	s := newSite(t)
	s.mustApply(two, manifest.Options{})
	s.want(s.mustApply(strings.NewReplacer("8450", "8451", "8451", "8450").Replace(two), manifest.Options{}),
		"update host agent listen: 127.0.0.1:8450 → nowhere", "update host box listen: 127.0.0.1:8451 → nowhere",
		"update host agent listen: nowhere → 127.0.0.1:8451", "update host box listen: nowhere → 127.0.0.1:8450",
	)
}

func TestHostsReportTheExactPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		edit []string
		want []string
	}{
		{"identities that are not there, all of them", []string{"[one, both]", "[one, three]", "[two]", "[four]"}, []string{
			`5:102: there is no managed identity "three" in the tenant contoso.`, `6:60: there is no managed identity "four" in the tenant contoso.`,
		}},
		{"a system identity of two hosts", []string{"[two]", "[one]"}, []string{"6:60: one is system-assigned, and the host agent has it."}},
		{"an unknown platform", []string{"via: imds", "via: vm"}, []string{`5:28: "vm" is none of app-service, imds`}},
		{"a platform without a secret, open to everybody", []string{", from: [172.17.0.0/16]", ""}, []string{"5:9: Programs of a host of platform imds show no secret"}},
		{"an address that is none", []string{"127.0.0.1:8451", "localhost"}, []string{`6:29: A host cannot listen at "localhost".`}},
		{"an address twice", []string{"127.0.0.1:8451", "172.17.0.1:8450"}, []string{`6:29: the address "172.17.0.1:8450" is used twice, first in line 5.`}},
		{"a network that is none", []string{"172.17.0.0/16", "everywhere"}, []string{`5:68: "everywhere" is no address or network.`}},
		{"no identity", []string{"[two]", "[]"}, []string{"6:59: the list names no identity."}},
		{"a name twice", []string{"name: box", "name: Agent"}, []string{`6:16: the host name "Agent" is used twice, first in line 5.`}},
		{"an unknown member", []string{"name: box", "name: box, port: 80"}, []string{`6:21: "port" is no member of a host.`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newSite(t).apply(strings.NewReplacer(tt.edit...).Replace(boxes), manifest.Options{})
			checkProblems(t, err, tt.want)
		})
	}
}

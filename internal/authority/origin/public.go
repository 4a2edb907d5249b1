package origin

import (
	"fmt"
	"slices"
	"strings"
)

// A Cloud is one of Microsoft's clouds, by the name that the Azure CLI gives it.
type Cloud string

// The clouds whose names an authority can answer under.
const (
	AzureCloud        Cloud = "AzureCloud"
	AzureUSGovernment Cloud = "AzureUSGovernment"
	AzureChinaCloud   Cloud = "AzureChinaCloud"
)

// A cloudNames is what programs for a cloud have in their source, and what its discovery
// documents say.
type cloudNames struct {
	hosts    []string // of the authority; the first stands in URLs
	cached   string   // the host that client libraries file tokens under
	v1       string   // the template of version 1.0 issuers
	instance string   // cloud_instance_name
	graph    string   // msgraph_host
	oldGraph string   // cloud_graph_host_name
	manager  []string // hosts of Azure Resource Manager
	managed  string   // the resource that tokens for it are requested for
	portal   []string // hosts of the portal's own service
}

// clouds is the table of Microsoft's host names: those of the authority as Entra's instance
// discovery lists them (protocol/authority.md), the others as the Azure CLI's clouds have them.
func clouds() map[Cloud]cloudNames {
	return map[Cloud]cloudNames{
		AzureCloud: {
			hosts:  []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
			cached: "login.windows.net", v1: "https://sts.windows.net/" + TenantPlaceholder + "/", instance: "microsoftonline.com",
			graph: "graph.microsoft.com", oldGraph: "graph.windows.net", manager: []string{"management.azure.com", "management.core.windows.net"},
			managed: "https://management.core.windows.net/", portal: []string{"main.iam.ad.ext.azure.com"},
		},
		AzureUSGovernment: {
			hosts:  []string{"login.microsoftonline.us", "login.usgovcloudapi.net"},
			cached: "login.microsoftonline.us", v1: "https://sts.windows.net/" + TenantPlaceholder + "/", instance: "microsoftonline.us",
			graph: "graph.microsoft.us", oldGraph: "graph.windows.net", manager: []string{"management.usgovcloudapi.net"},
			managed: "https://management.core.usgovcloudapi.net/",
		},
		AzureChinaCloud: {
			hosts:  []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn", "sts.chinacloudapi.cn"},
			cached: "login.partner.microsoftonline.cn", v1: "https://sts.chinacloudapi.cn/" + TenantPlaceholder + "/", instance: "partner.microsoftonline.cn",
			graph: "microsoftgraph.chinacloudapi.cn", oldGraph: "graph.chinacloudapi.cn", manager: []string{"management.chinacloudapi.cn"},
			managed: "https://management.core.chinacloudapi.cn/",
		},
	}
}

// Clouds lists the clouds, the one that is meant when none is named first.
func Clouds() []Cloud { return []Cloud{AzureCloud, AzureUSGovernment, AzureChinaCloud} }

// ParseCloud finds a cloud by its name, in any case. Empty means [AzureCloud].
func ParseCloud(name string) (Cloud, error) {
	if name == "" {
		return AzureCloud, nil
	}
	for _, cloud := range Clouds() {
		if strings.EqualFold(string(cloud), name) {
			return cloud, nil
		}
	}
	var known []string
	for _, cloud := range Clouds() {
		known = append(known, string(cloud))
	}
	return "", fmt.Errorf("there is no cloud %q: there are %s", name, strings.Join(known, ", "))
}

// Public returns the origin that issues tokens under Microsoft's own names of a cloud. Its
// signing keys are its own: what it signs verifies under no other origin.
func Public(cloud Cloud) (Origin, error) {
	names, ok := clouds()[cloud]
	if !ok {
		return Origin{}, fmt.Errorf("authority: there is no cloud %q", cloud)
	}
	o, err := New("https://"+names.hosts[0], names.v1)
	if err != nil {
		return Origin{}, err
	}
	o.cloud = cloud
	return o.WithAliases(names.hosts[1:]...), nil
}

// LoginHosts are the names of a cloud's authority. The first stands in URLs.
func (c Cloud) LoginHosts() []string { return slices.Clone(clouds()[c].hosts) }

// ManagerHosts are the names of a cloud's resource manager. The first stands in URLs.
func (c Cloud) ManagerHosts() []string { return slices.Clone(clouds()[c].manager) }

// ManagerAudience is what tools of a cloud request tokens for its resource manager for.
func (c Cloud) ManagerAudience() string { return clouds()[c].managed }

// GraphResource is what tools of a cloud request tokens for Microsoft Graph for. It is also
// Graph's URL.
func (c Cloud) GraphResource() string { return "https://" + clouds()[c].graph + "/" }

// PortalHosts are the names at which tools have an administrator consent to what an application asks
// for. The Azure CLI does so in one cloud alone.
func (c Cloud) PortalHosts() []string { return slices.Clone(clouds()[c].portal) }

// GraphHosts are the names of a cloud's Microsoft Graph. The first stands in URLs.
func (c Cloud) GraphHosts() []string { return []string{clouds()[c].graph} }

// Hosts are all names of a cloud that are answered here.
func (c Cloud) Hosts() []string {
	return slices.Concat(c.LoginHosts(), c.GraphHosts(), c.ManagerHosts(), c.PortalHosts())
}

// UnansweredHosts are names of a cloud at which nothing answers here. Tokens and requests for them
// must not reach Microsoft's own.
func (c Cloud) UnansweredHosts() []string {
	return []string{clouds()[c].oldGraph}
}

// CloudOf returns the cloud whose version 1.0 or 2.0 issuers begin as an issuer does, or
// nothing. Two clouds share the issuers of version 1.0: the first is returned.
func CloudOf(issuer string) Cloud {
	for _, cloud := range Clouds() {
		if o, err := Public(cloud); err == nil && o.TenantOf(issuer) != "" {
			return cloud
		}
	}
	return ""
}

// Cloud is the cloud under whose names the origin issues; empty: under names of its own.
func (o Origin) Cloud() Cloud { return o.cloud }

// A CacheHost is how client libraries know an authority's aliases from each other.
type CacheHost struct {
	Network string // the host to send requests to
	Cache   string // the host to file tokens under
	Aliases []string
}

// Instances lists the authorities that instance discovery tells of: this one, and with it,
// under Microsoft's names, those of the other clouds, as Entra does.
func (o Origin) Instances() []CacheHost {
	if o.cloud == "" {
		return []CacheHost{{o.Host, o.Host, o.Hosts()}}
	}
	var all []CacheHost
	for _, cloud := range Clouds() {
		names := clouds()[cloud]
		all = append(all, CacheHost{names.hosts[0], names.cached, names.hosts})
	}
	return all
}

// CloudInstance is what discovery and keys documents call the cloud.
func (o Origin) CloudInstance() string {
	if o.cloud != "" {
		return clouds()[o.cloud].instance
	}
	return o.Hostname()
}

// GraphHosts are the hosts of Microsoft Graph and of its predecessor that discovery
// documents name.
func (o Origin) GraphHosts() (graph, predecessor string) {
	if names, ok := clouds()[o.cloud]; ok {
		return names.graph, names.oldGraph
	}
	return o.Hostname(), o.Hostname()
}

// KeyRing is the name of the key ring that signs a tenant's tokens. Each set of names has a
// ring of its own, because a key belongs to exactly one issuer.
func (o Origin) KeyRing(tenant string) string {
	if o.cloud == "" {
		return tenant
	}
	return tenant + "/" + strings.ToLower(string(o.cloud))
}

// WorkloadRing is the name of the key ring of a tenant's workload issuer.
func (o Origin) WorkloadRing(tenant string) string {
	if o.cloud == "" {
		return tenant + WorkloadPath
	}
	return tenant + WorkloadPath + "-" + strings.ToLower(string(o.cloud))
}

package arm

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// tenants lists the caller's own tenant.
func tenants(c *call) (reply, error) {
	type tenant struct {
		ID          string             `json:"id"`
		TenantID    directory.TenantID `json:"tenantId"`
		DisplayName string             `json:"displayName"`
		Domain      string             `json:"defaultDomain,omitempty"`
		Domains     []string           `json:"domains,omitempty"`
		Category    string             `json:"tenantCategory"`
	}
	from := c.caller.Tenant
	listed := tenant{ID: "/tenants/" + string(from.ID), TenantID: from.ID, DisplayName: from.Name, Domains: from.Domains, Category: "Home"}
	if len(from.Domains) > 0 {
		listed.Domain = from.Domains[0]
	}
	return found(list[tenant]{Value: []tenant{listed}})
}

type subscriptionBody struct {
	ID                  string               `json:"id"`
	SubscriptionID      string               `json:"subscriptionId"`
	TenantID            directory.TenantID   `json:"tenantId"`
	DisplayName         string               `json:"displayName"`
	State               string               `json:"state"`
	AuthorizationSource string               `json:"authorizationSource"`
	ManagedByTenants    []struct{}           `json:"managedByTenants"`
	Policies            subscriptionPolicies `json:"subscriptionPolicies"`
}

type subscriptionPolicies struct {
	Placement string `json:"locationPlacementId"`
	Quota     string `json:"quotaId"`
	Spending  string `json:"spendingLimit"`
}

func (c *call) subscriptionBody(id string) subscriptionBody {
	name := c.caller.Tenant.Name
	if id != directory.Subscription(c.tenant()) {
		name += " " + id // one that resource ids of rolecall.yaml name
	}
	return subscriptionBody{
		ID: "/subscriptions/" + id, SubscriptionID: id, TenantID: c.tenant(), DisplayName: name, State: "Enabled",
		AuthorizationSource: "RoleBased", ManagedByTenants: []struct{}{}, Policies: subscriptionPolicies{"Public_2014-09-01", "Rolecall", "Off"},
	}
}

// subscriptions lists the tenant's own, and those that ids of managed identities name.
func subscriptions(c *call) (reply, error) {
	all := list[subscriptionBody]{Value: []subscriptionBody{c.subscriptionBody(directory.Subscription(c.tenant()))}}
	named, err := c.view().Identities().Below(c.tenant(), "/subscriptions")
	if err != nil {
		return reply{}, err
	}
	for _, id := range named {
		if id != directory.Subscription(c.tenant()) {
			all.Value = append(all.Value, c.subscriptionBody(id))
		}
	}
	return found(all)
}

func subscription(c *call) (reply, error) {
	return found(c.subscriptionBody(strings.ToLower(c.at["subscription"])))
}

// checkSubscription refuses subscriptions that the tenant has not, be they somebody else's or
// nobody's.
func (c *call) checkSubscription(id string) error {
	if strings.EqualFold(id, directory.Subscription(c.tenant())) {
		return nil
	}
	named, err := c.view().Identities().Below(c.tenant(), "/subscriptions")
	if err != nil {
		return err
	}
	for _, one := range named {
		if strings.EqualFold(one, id) {
			return nil
		}
	}
	return refusal(http.StatusNotFound, "SubscriptionNotFound", "The subscription '%s' could not be found. That of the tenant %s is '%s'.",
		text.Shown(id), c.tenant(), directory.Subscription(c.tenant()))
}

// location is where things are that nobody said a place for.
const location = "local"

// locationOf brings a location into the form that is kept, as Azure does: "West Europe" is
// westeurope. Any is taken: there are no regions here.
func locationOf(given string) string {
	return cmp.Or(strings.ToLower(strings.ReplaceAll(given, " ", "")), location)
}

func locations(c *call) (reply, error) {
	type body struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Type        string `json:"type"`
		DisplayName string `json:"displayName"`
		Regional    string `json:"regionalDisplayName"`
	}
	return found(list[body]{Value: []body{{joinPath(c.path) + "/" + location, location, "Region", "Local", "Local"}}})
}

type providerBody struct {
	ID        string         `json:"id,omitempty"`
	Namespace string         `json:"namespace"`
	State     string         `json:"registrationState"`
	Policy    string         `json:"registrationPolicy,omitempty"`
	Types     []providerType `json:"resourceTypes"`
}

type providerType struct {
	Type      string   `json:"resourceType"`
	Locations []string `json:"locations"`
	Versions  []string `json:"apiVersions"`
}

// providedTypes are the types of resources that are here, by namespace.
func providedTypes() []providerBody {
	of := func(names ...string) (types []providerType) {
		for _, name := range names {
			types = append(types, providerType{name, []string{location}, []string{"2024-11-30", "2023-01-31", "2018-11-30"}})
		}
		return types
	}
	return []providerBody{
		{Namespace: "Microsoft.ManagedIdentity", State: "Registered", Types: of("userAssignedIdentities", "userAssignedIdentities/federatedIdentityCredentials", "identities")},
		{Namespace: "Microsoft.Resources", State: "Registered", Types: of("subscriptions", "resourceGroups", "tenants", "providers", "resources", "subscriptions/locations")},
	}
}

func (c *call) inSubscription(p providerBody) providerBody {
	if id, given := c.at["subscription"]; given {
		p.ID, p.Policy = "/subscriptions/"+id+"/providers/"+p.Namespace, "RegistrationFree"
	}
	return p
}

func providers(c *call) (reply, error) {
	all := list[providerBody]{Value: providedTypes()}
	for i, p := range all.Value {
		all.Value[i] = c.inSubscription(p)
	}
	return found(all)
}

// provider says of every namespace of Azure's that it is registered: tools make sure of that before
// they begin, also for what they then do not use. One that has nothing here has no types.
func provider(c *call) (reply, error) {
	name := c.at["namespace"]
	for _, p := range providedTypes() {
		if strings.EqualFold(p.Namespace, name) {
			return found(c.inSubscription(p))
		}
	}
	if !isNamespace(name) {
		return reply{}, refusal(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", text.Shown(name))
	}
	return found(c.inSubscription(providerBody{Namespace: name, State: "Registered", Types: []providerType{}}))
}

// isNamespace reports whether a name is of the form Microsoft.Something.
func isNamespace(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name), "microsoft.")
	return ok && rest != "" && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789.") == ""
}

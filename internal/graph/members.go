package graph

import (
	"net/http"
	"strings"
)

// memberRoutes are the routes of what somebody is a member of. There are no groups, so it is
// nothing, of everybody who is there.
func memberRoutes() []route {
	var all []route
	for _, of := range []struct {
		path   string
		permit *permit
	}{{"servicePrincipals/{principal}", readsApplications()}, {"users/{user}", readsUsers()}, {"me", isMe()}} {
		for action, parameter := range map[string]string{
			"getMemberGroups": "securityEnabledOnly", "getMemberObjects": "securityEnabledOnly", "checkMemberGroups": "groupIds", "checkMemberObjects": "ids",
		} {
			all = append(all, route{http.MethodPost, of.path + "/" + action, of.permit, func(c *call) (answer, error) { return c.memberships(parameter) }})
		}
	}
	return all
}

const maxChecked = 20 // groups in one request

func (c *call) memberships(parameter string) (answer, error) {
	if _, err := c.owner(c.view()); err != nil {
		return answer{}, err
	}
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	for _, m := range given {
		in := input{m.name, m.value}
		switch {
		case !strings.EqualFold(m.name, parameter):
			return answer{}, invalid(m.name, "Invalid property "+quote(m.name)+".")
		case parameter == "securityEnabledOnly":
			if _, err := in.optionalBool(); err != nil {
				return answer{}, err
			}
		default:
			ids, err := each(in, input.guid)
			if err != nil {
				return answer{}, err
			}
			if len(ids) > maxChecked {
				return answer{}, invalid(m.name, "Too many ids: one request takes 20.")
			}
		}
	}
	if len(given) == 0 {
		return answer{}, invalid(parameter, "A value is required for property '"+parameter+"'.")
	}
	return answer{status: http.StatusOK, context: "Collection(Edm.String)", body: object{{"value", []string{}}}}, nil
}

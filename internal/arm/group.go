package arm

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// checkGroup refuses a resource group that is not there, if the call names one.
func (c *call) checkGroup() error { return c.checkGroupIn(c.view()) }

func (c *call) checkGroupIn(v *directory.View) error {
	group, given := c.at["group"]
	if !given {
		return nil
	}
	if strings.EqualFold(group, directory.DefaultGroup) && strings.EqualFold(c.at["subscription"], directory.Subscription(c.tenant())) {
		return nil
	}
	named, err := v.Identities().Below(c.tenant(), "/subscriptions/"+c.at["subscription"]+"/resourcegroups")
	if err != nil {
		return err
	}
	for _, one := range named {
		if strings.EqualFold(one, group) {
			return nil
		}
	}
	return refusal(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", text.Shown(group))
}

package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// DefaultSecretLife is how long a generated secret counts where a management API was not told
// otherwise.
const DefaultSecretLife = 180 * 24 * time.Hour

// ErrPolicy says that the tenant's policy forbids a credential.
var ErrPolicy = errors.New("the policy of the tenant forbids it")

// appManagement is the id of the one policy that there is.
const appManagement = "appManagement"

// policy reads the policy of a tenant; at version 0, where none was made.
func (v *View) policy(tenant TenantID) (row[AppManagementPolicy], error) {
	object, err := v.from.Get(v.ctx, string(fold(tenant)), KindPolicy, appManagement)
	if errors.Is(err, ErrNotFound) {
		return row[AppManagementPolicy]{value: &AppManagementPolicy{Tenant: fold(tenant)}}, nil
	}
	if err != nil {
		return row[AppManagementPolicy]{}, v.failed(err)
	}
	return decodeRow[AppManagementPolicy](object)
}

func (e *editor) editPolicy(tenant TenantID, f func(*AppManagementPolicy) error) (*AppManagementPolicy, error) {
	return acting(e, Update, Policies, func() (*AppManagementPolicy, error) {
		owner, err := e.tenantByID(fold(tenant))
		if err != nil {
			return nil, err
		}
		old, err := e.view.policy(owner.ID)
		if err != nil {
			return nil, err
		}
		next := *old.value
		if err := f(&next); err != nil {
			return nil, err
		}
		next.Tenant, next.Version = owner.ID, old.value.Version
		if next.MaxSecretLife < 0 || next.MaxCertificateLife < 0 {
			return nil, &RuleError{Field: "maxLifetime", What: "A longest life cannot be negative.", Advice: "Give a time such as 180 days, or none."}
		}
		if err := checkSettings(&next.Settings); err != nil {
			return nil, err
		}
		if old.body == nil { // so that update sees a difference, or none to what was never kept
			if old.body, err = json.Marshal(old.value); err != nil {
				return nil, err
			}
		}
		return &next, update(e, old, &next, policyDetail(old.value, &next))
	})
}

func policyDetail(old, next *AppManagementPolicy) string {
	var d detail
	d.changed("enabled", old.Enabled, next.Enabled)
	d.changed("secretsForbidden", old.SecretsForbidden, next.SecretsForbidden)
	d.changed("maxSecretLife", old.MaxSecretLife, next.MaxSecretLife)
	d.changed("maxCertificateLife", old.MaxCertificateLife, next.MaxCertificateLife)
	d.settings(old.Settings, next.Settings)
	return d.String()
}

// allowSecret holds a secret against the policy of its tenant.
func (e *editor) allowSecret(tenant TenantID, secret *Secret) error {
	policy, err := e.view.AppManagementPolicy(tenant)
	if err != nil || !policy.Enabled {
		return err
	}
	if policy.SecretsForbidden {
		return &RuleError{Field: "secrets", What: "The policy of the tenant forbids secrets.", Advice: "Use a certificate, a federated credential or a managed identity.", Cause: ErrPolicy}
	}
	begin := secret.Created
	if secret.From.After(begin) {
		begin = secret.From
	}
	if longest := policy.MaxSecretLife; longest > 0 && (secret.Expires.IsZero() || secret.Expires.Sub(begin) > longest) {
		return &RuleError{
			Field: "expires", What: fmt.Sprintf("The policy of the tenant lets secrets count for %s at the most.", days(longest)),
			Advice: fmt.Sprintf("Let it end by %s.", shownTime(begin.Add(longest))), Cause: ErrPolicy,
		}
	}
	return nil
}

// allowCertificate holds a certificate against the policy of its tenant.
func (e *editor) allowCertificate(tenant TenantID, certificate *Certificate) error {
	policy, err := e.view.AppManagementPolicy(tenant)
	if err != nil || !policy.Enabled {
		return err
	}
	if longest := policy.MaxCertificateLife; longest > 0 && certificate.ValidUntil.Sub(certificate.ValidFrom) > longest {
		return &RuleError{
			Field: "der", What: fmt.Sprintf("The policy of the tenant lets certificates count for %s at the most.", days(longest)),
			Advice: "Use one that is valid for less long, or let it count for a part of its time.", Cause: ErrPolicy,
		}
	}
	return nil
}

func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day != 0 {
		return d.String()
	}
	if d == day {
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/day)
}

func (p *AppManagementPolicy) target() target {
	return target{kind: KindPolicy, tenant: p.Tenant, id: appManagement, name: appManagement}
}

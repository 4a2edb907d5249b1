package directory

import "time"

// An Editor changes the directory inside one transaction and holds every rule of the
// model. Its errors are *RuleError (bad input, says what and how to mend it) or wrap
// ErrNotFound, ErrConflict, ErrDuplicate.
type Editor struct{}

// A RuleError says which rule of the model a change breaks, and how to mend it.
type RuleError struct {
	Field string // "appRoles[2].value"; may be empty
	What  string
	Fix   string
}

func (e *RuleError) Error() string { return e.What + " " + e.Fix }

// The signatures below take values without ids where the directory gives one; given ids are kept.

func (e *Editor) CreateTenant(t Tenant) (*Tenant, error)                        { return nil, errTODO }
func (e *Editor) UpdateTenant(t Tenant) (*Tenant, error)                        { return nil, errTODO }
func (e *Editor) DeleteTenant(id TenantID) error                                { return errTODO }
func (e *Editor) Tenant(ref string) (*Tenant, error)                            { return nil, errTODO }
func (e *Editor) Tenants() ([]*Tenant, error)                                   { return nil, errTODO }
func (e *Editor) Application(tenant TenantID, ref string) (*Application, error) { return nil, errTODO }
func (e *Editor) Applications(tenant TenantID) ([]*Application, error)          { return nil, errTODO }
func (e *Editor) CreateApplication(a Application) (*Application, error)         { return nil, errTODO }
func (e *Editor) UpdateApplication(a Application) (*Application, error)         { return nil, errTODO }
func (e *Editor) DeleteApplication(tenant TenantID, id ObjectID) error          { return errTODO }
func (e *Editor) AddSecret(tenant TenantID, app ObjectID, name string, expires time.Time) (secret Secret, value string, err error) {
	return Secret{}, "", errTODO
}
func (e *Editor) ImportSecret(tenant TenantID, app ObjectID, name, value string, expires time.Time) (Secret, error) {
	return Secret{}, errTODO
}
func (e *Editor) AddCertificate(tenant TenantID, app ObjectID, name string, der []byte) (Certificate, error) {
	return Certificate{}, errTODO
}
func (e *Editor) AddFederated(tenant TenantID, app ObjectID, c FederatedCredential) (FederatedCredential, error) {
	return FederatedCredential{}, errTODO
}

// RemoveCredential removes the secret, certificate or federated credential with that id.
func (e *Editor) RemoveCredential(tenant TenantID, app ObjectID, id string) error { return errTODO }

// ServicePrincipal finds one by object id, app id or name.
func (e *Editor) ServicePrincipal(tenant TenantID, ref string) (*ServicePrincipal, error) {
	return nil, errTODO
}
func (e *Editor) ServicePrincipals(tenant TenantID) ([]*ServicePrincipal, error) { return nil, errTODO }
func (e *Editor) CreateServicePrincipal(p ServicePrincipal) (*ServicePrincipal, error) {
	return nil, errTODO
}
func (e *Editor) UpdateServicePrincipal(p ServicePrincipal) (*ServicePrincipal, error) {
	return nil, errTODO
}
func (e *Editor) DeleteServicePrincipal(tenant TenantID, id ObjectID) error { return errTODO }

// Assign grants a role; granting it again is no error and returns the assignment there is.
func (e *Editor) Assign(tenant TenantID, principal, resource ObjectID, role RoleID) (*Assignment, error) {
	return nil, errTODO
}
func (e *Editor) Unassign(tenant TenantID, principal, resource ObjectID, role RoleID) error {
	return errTODO
}
func (e *Editor) Assignments(tenant TenantID, principal ObjectID) ([]*Assignment, error) {
	return nil, errTODO
}
func (e *Editor) User(tenant TenantID, ref string) (*User, error)                 { return nil, errTODO }
func (e *Editor) Users(tenant TenantID) ([]*User, error)                          { return nil, errTODO }
func (e *Editor) CreateUser(u User, password string) (*User, error)               { return nil, errTODO }
func (e *Editor) UpdateUser(u User) (*User, error)                                { return nil, errTODO }
func (e *Editor) SetPassword(tenant TenantID, id ObjectID, password string) error { return errTODO }
func (e *Editor) DeleteUser(tenant TenantID, id ObjectID) error                   { return errTODO }

// Changes tells what this transaction did so far, one event for each act: the
// difference that a dry run prints.
func (e *Editor) Changes() []ChangeNote { return nil }

// A ChangeNote is one line of a difference.
type ChangeNote struct {
	Action string `json:"action"` // "create", "update", "delete", "none"
	Kind   string `json:"kind"`   // "application", "assignment", …
	Tenant string `json:"tenant"` // its name
	Name   string `json:"name"`   // what people call the target
	Detail string `json:"detail,omitempty"`
}

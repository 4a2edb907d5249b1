// Package testids names what the tests of the authority and its parts have in common: the
// origin, and the ids of tenants, clients and APIs.
//
// It is for tests alone. It refuses to own a clock and keys, which package fixture has, and a
// whole authority, which the tests of package authority make.
package testids

import "time"

// The ids of the tests' tenants, clients and APIs.
const (
	BaseURL     = "https://login.contoso.test:8443"
	Tenant      = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11" // contoso
	OtherTenant = "8a2e4d63-1b5f-4c9f-8d72-3e6f901b2c22" // fabrikam
	Client      = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	API         = "a9100002-5a5a-4c4c-8d8d-000000000002" // api://orders, version 2
	LegacyAPI   = "a9100003-5a5a-4c4c-8d8d-000000000003" // api://legacy, version 1
	ClosedAPI   = "a9100004-5a5a-4c4c-8d8d-000000000004" // api://closed, requires an assignment
	PublicApp   = "c11e0005-5a5a-4c4c-8d8d-000000000005"
	WebApp      = "c11e0006-5a5a-4c4c-8d8d-000000000006" // confidential, with redirect URIs
	ForeignAPI  = "a9100006-5a5a-4c4c-8d8d-000000000006" // api://fabrikam, of the second tenant
	Nobody      = "c11e00ff-5a5a-4c4c-8d8d-0000000000ff"
)

// Start is the time at which the tests' clocks stand.
func Start() time.Time { return time.Date(2026, 11, 23, 14, 5, 6, 0, time.UTC) }

package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A signIn is an answer of the authority, with what the directory knows of those it names.
type signIn struct {
	directory.SignIn
	dir     *directory.Directory
	tenants []*directory.Tenant // all; that of the request first, if it is known
	tenant  *directory.Tenant   // nil: the request named none that is there
	client  *directory.Instance // nil: it is not in the tenant
	several bool                // other tenants have a principal with the client's name
	report  *Report
}

// SignIn explains the authority's answer to a token request: what the answer itself says, and
// what it must not say to whoever asks, which is what would have been right.
func SignIn(ctx context.Context, dir *directory.Directory, row directory.SignIn) (*Report, error) {
	return signInWithin(ctx, dir, row, nil)
}

// signInWithin is SignIn where something is told of one tenant alone; nil: of all.
func signInWithin(ctx context.Context, dir *directory.Directory, row directory.SignIn, within *directory.Tenant) (*Report, error) {
	s, err := newSignIn(ctx, dir, row, within)
	if err != nil {
		return nil, err
	}
	if !row.Refused() {
		return s.report, s.explainAnswer(ctx)
	}
	s.report.Reason = ReasonOf(row)
	s.report.add("token request", false, row.Reason)
	s.report.Steps[0].Reason = s.report.Reason
	s.report.Verdict = strings.TrimSuffix(row.Reason, ".")
	s.report.Fix = &Fix{What: adviceOn(row)}
	return s.report, s.diagnose(ctx)
}

func newSignIn(ctx context.Context, dir *directory.Directory, row directory.SignIn, within *directory.Tenant) (*signIn, error) {
	if row.Presented == nil {
		row.Presented = &directory.Presented{}
	}
	s := &signIn{SignIn: row, dir: dir, report: &Report{API: row.Resource, Client: row.Name}}
	if s.report.Client == "" {
		s.report.Client = string(row.AppID)
	}
	if row.Cloud != "" {
		s.report.Note = fmt.Sprintf("The request was sent to one of Microsoft's own names (%s), which lead here under `rolecall run --public-names`.", text.Shown(row.Cloud))
	}
	var err error
	if within != nil {
		s.tenants = []*directory.Tenant{within}
	} else if s.tenants, err = dir.Tenants(ctx); err != nil {
		return nil, err
	}
	s.tenants = slices.Clone(s.tenants)
	if i := slices.IndexFunc(s.tenants, func(t *directory.Tenant) bool { return t.ID == row.Tenant }); i >= 0 {
		s.tenants[0], s.tenants[i] = s.tenants[i], s.tenants[0]
		s.tenant, s.report.Tenant = s.tenants[0], s.tenants[0].Name
	}
	if s.tenant == nil || row.AppID == "" {
		return s, nil
	}
	s.client, err = dir.Instance(ctx, s.tenant.ID, row.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		return s, nil
	}
	if err == nil && s.client.Principal != nil {
		s.several = isIn(dir.View(ctx), s.tenants[1:], s.client.Principal.Called())
	}
	return s, err
}

// inTenant is the flag that a command needs to know which tenant's client is meant.
func (s *signIn) inTenant() string {
	if !s.several {
		return ""
	}
	return s.tenant.Name
}

// explainAnswer tells of a token that was issued.
func (s *signIn) explainAnswer(ctx context.Context) error {
	s.report.Accepted = true
	s.report.Verdict = "with a token"
	detail := fmt.Sprintf("a version %s token was issued; roles: %s", s.Version, list(s.Roles))
	if s.User != "" {
		detail += fmt.Sprintf("; for %s, scopes: %s", s.User, list(s.Scopes))
	}
	if s.Borrower != nil {
		detail += "; lent to " + text.Shown(s.Borrower.String())
	}
	s.report.add("token request", true, detail)
	if s.client == nil {
		return nil
	}
	f := &facts{subject: &subject{tenant: s.tenant, client: s.client, claims: claims{tokenID: s.TokenID}}}
	var err error
	s.report.Hints, err = f.howChosen(ctx, s.dir, s.dir.SignIns)
	return err
}

// ReasonOf is the code of a refusal: "AADSTS7000215", or the word of one that has no number.
func ReasonOf(row directory.SignIn) string {
	if row.Code == 0 {
		return row.Refusal
	}
	return fmt.Sprintf("AADSTS%d", row.Code)
}

// adviceOn returns the advice that the answer gave; of a row of an older version, which has
// none, that of the table of errors, if it can be given without what was presented.
func adviceOn(row directory.SignIn) string {
	if row.Fix != "" {
		return row.Fix
	}
	for _, refusal := range aadsts.Table() {
		if refusal.Code == row.Code && !strings.Contains(refusal.Fix, "{") {
			return refusal.Fix
		}
	}
	return ""
}

// The refusals of which the directory tells more than the answer.
const (
	noAssignment        = 501051 // the client has no role of an API that requires one
	noConsent           = 65001  // nobody consented to the scopes
	notRequested        = 650057 // the client requested no scope of the API
	tenantUnknown       = 90002
	tenantNoName        = 900023
	tenantDisabled      = 5000225
	clientUnknown       = 700016
	clientAbsent        = 7000229
	clientDisabled      = 7000112
	resourceUnknown     = 500011
	resourceDisabled    = 500014
	secretWrong         = 7000215
	secretExpired       = 7000222
	credentialMissing   = 7000218
	keyUnknown          = 700027 // or its certificate expired, or the signature is wrong
	federatedIssuer     = 700211
	federatedAudience   = 700212
	federatedSubject    = 700213
	federatedCase       = 7002138
	federatedNoExchange = 700214
)

// diagnose adds to the report what the directory knows of the mistake.
func (s *signIn) diagnose(ctx context.Context) error {
	if s.Presented.Platform != "" && s.Code == 0 {
		return s.diagnoseIdentity(ctx)
	}
	switch s.Code {
	case tenantUnknown, tenantNoName:
		return s.diagnoseTenant(ctx)
	case clientUnknown, clientAbsent:
		return s.diagnoseClient(ctx)
	case resourceUnknown:
		return s.diagnoseResource(ctx)
	case tenantDisabled, clientDisabled, resourceDisabled:
		return s.diagnoseDisabled(ctx)
	case noAssignment, noConsent, notRequested:
		return s.fixPermission(ctx)
	}
	if s.client == nil {
		return nil
	}
	switch s.Code {
	case secretWrong, secretExpired, credentialMissing:
		s.diagnoseSecret()
	case keyUnknown:
		s.diagnoseCertificate()
	case federatedIssuer, federatedAudience, federatedSubject, federatedCase, federatedNoExchange:
		s.diagnoseFederated()
	}
	return nil
}

// fixPermission adds the command that gives the client what it lacked.
func (s *signIn) fixPermission(ctx context.Context) error {
	if s.tenant == nil || s.client == nil || s.client.Principal == nil {
		return nil
	}
	api, err := found(s.dir.Resource(ctx, s.tenant.ID, s.Resource))
	if err != nil || api == nil {
		return err
	}
	name := s.client.Principal.Called()
	switch {
	case s.Code == noAssignment:
		in := Input{Directory: s.dir, Now: s.at}
		sub := &subject{tenant: s.tenant, api: api, client: s.client, several: s.several}
		sub.require(nil)
		f, err := in.facts(ctx, sub)
		if err != nil {
			return err
		}
		s.report.Verdict = fmt.Sprintf("%s holds no app role of %s, which gives tokens to nobody without one", name, api.Application.Called())
		s.report.Fix = f.fixRole()
	case s.client.Application != nil: // a managed identity has no scopes
		if scopes := s.missingScopes(api.Application); len(scopes) > 0 {
			s.report.Fix.Command = Fragment(s.tenant.Name, s.client.Application.Called(), fmt.Sprintf("permissions: [{api: %s, scopes: [%s], consent: true}]",
				quote(api.Application.Called()), strings.Join(scopes, ", ")))
		}
	}
	return nil
}

// missingScopes are the scopes that the refusal names, or else the first of the API's.
func (s *signIn) missingScopes(api *directory.Application) (scopes []string) {
	named := strings.FieldsFunc(s.Reason, func(r rune) bool { return r == ' ' || r == '\'' })
	for _, scope := range api.Scopes {
		if slices.Contains(named, scope.Value) {
			scopes = append(scopes, quote(scope.Value))
		}
	}
	if len(scopes) == 0 && len(api.Scopes) > 0 {
		scopes = []string{quote(api.Scopes[0].Value)}
	}
	return scopes
}

// hint adds a sentence to the report.
func (s *signIn) hint(format string, args ...any) {
	s.report.Hints = append(s.report.Hints, text.Line(fmt.Sprintf(format, args...), 4*text.MaxQuoted))
}

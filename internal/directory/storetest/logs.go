package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

func testAudit(t *testing.T, s directory.Store) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 123456789, time.FixedZone("", 3600))
	for i := range 5 {
		update(t, s, func(tx directory.Tx) error {
			for j := range i {
				event := audit.Event{Time: at, Tenant: "t", Actor: "test", Action: "app.create", Kind: "app", Target: fmt.Sprint(i, j), Name: "<&é☃>", Detail: "x\ny"}
				if err := tx.Audit(t.Context(), audit.Signer{}, event); err != nil {
					return err
				}
			}
			return nil
		})
	}
	rows, err := s.AuditRows(t.Context(), 0, 0)
	if err != nil || len(rows) != 10 {
		t.Fatalf("got %d rows, %v, want 10", len(rows), err)
	}
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Error(err)
	}
	rest, err := s.AuditRows(t.Context(), 4, 3)
	if err != nil || len(rest) != 3 {
		t.Fatalf("three after the fourth: got %v, %v", rest, err)
	}
	if err := audit.Verify(4, rows[3].Hash, rest); err != nil {
		t.Error(err)
	}
	rows[2].Detail = "edited"
	if audit.Verify(0, nil, rows) == nil {
		t.Error("an edited row went unnoticed")
	}
}

// testSignedAudit continues a chain without a key by one with a key, and undoes a part.
func testSignedAudit(t *testing.T, s directory.Store) {
	signer := audit.NewSigner(bytes.Repeat([]byte{7}, 32))
	add := func(by audit.Signer, end error) error {
		_, err := s.Update(t.Context(), func(tx directory.Tx) error {
			for range 3 {
				if err := tx.Audit(t.Context(), by, audit.Event{Actor: "test", Action: "app.create"}); err != nil {
					return err
				}
			}
			return end
		})
		return err
	}
	if head, err := s.AuditHead(t.Context()); err != nil || head.Sequence != 0 || len(head.Code) != 0 {
		t.Errorf("before the first row: %+v, %v", head, err)
	}
	if err := add(audit.Signer{}, nil); err != nil {
		t.Fatal(err)
	}
	if head, err := s.AuditHead(t.Context()); err != nil || len(head.Code) != 0 {
		t.Errorf("without a key: %+v, %v", head, err)
	}
	for range 2 {
		if err := add(signer, nil); err != nil {
			t.Fatal(err)
		}
		if err := add(signer, errUndo); !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
	}
	report, err := signer.Verify(func() (audit.Head, error) { return s.AuditHead(t.Context()) },
		func(after int64, limit int) ([]audit.Row, error) { return s.AuditRows(t.Context(), after, limit) })
	if err != nil || report.Rows != 9 || report.Keyed != 4 {
		t.Errorf("got %+v, %v; want 9 rows, by the key from the fourth on", report, err)
	}
}

func testSignIns(t *testing.T, s directory.Store) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	rows := []directory.SignIn{
		{Time: at, Tenant: "t", AppID: "a", CorrelationID: "1", Roles: []string{"R"}},
		{Time: at.Add(time.Second), Tenant: "t", AppID: "b", CorrelationID: "2", Code: 7000215},
		{Time: at.Add(time.Second + 500*time.Millisecond), Tenant: "u", AppID: "a", CorrelationID: "3f", Code: 700016, User: "dev@contoso.test"},
		{Time: at.Add(time.Minute), Tenant: "t", AppID: "a", CorrelationID: "4", Code: 7000215},
	}
	if err := s.AppendSignIns(t.Context(), rows[:2]); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendSignIns(t.Context(), rows[2:]); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter directory.SignInFilter
		want   []string
	}{
		{"all", directory.SignInFilter{}, []string{"4", "3f", "2", "1"}},
		{"a limit", directory.SignInFilter{Limit: 2}, []string{"4", "3f"}},
		{"a tenant", directory.SignInFilter{Tenant: "t"}, []string{"4", "2", "1"}},
		{"an app", directory.SignInFilter{AppID: "a"}, []string{"4", "3f", "1"}},
		{"failures", directory.SignInFilter{Tenant: "t", FailuresOnly: true}, []string{"4", "2"}},
		{"a correlation id", directory.SignInFilter{CorrelationID: "3f"}, []string{"3f"}},
		{"the beginning of one", directory.SignInFilter{CorrelationID: "3"}, []string{"3f"}},
		{"more than one", directory.SignInFilter{CorrelationID: "3ff"}, nil},
		{"since the second one", directory.SignInFilter{Since: at.Add(time.Second + 700*time.Millisecond)}, []string{"4", "3f", "2"}},
		{"since later", directory.SignInFilter{Since: at.Add(time.Hour)}, nil},
		{"a user in another case", directory.SignInFilter{User: "Dev@Contoso.test"}, []string{"3f"}},
		{"a correlation id in another tenant", directory.SignInFilter{CorrelationID: "3", Tenant: "t"}, nil},
	} {
		got, err := s.SignIns(t.Context(), tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, row := range got {
			ids = append(ids, row.CorrelationID)
		}
		if !slices.Equal(ids, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, ids, tt.want)
		}
	}
	got, err := s.SignIns(t.Context(), directory.SignInFilter{CorrelationID: "1"})
	if err != nil || len(got) != 1 || !got[0].Time.Equal(at) || !slices.Equal(got[0].Roles, []string{"R"}) {
		t.Errorf("a row in full: got %+v, %v", got, err)
	}
}

func testSignInsBounded(t *testing.T, s directory.Store) {
	const kept, batch = 1000, 400
	keeper, ok := s.(interface{ KeepSignIns(n int) })
	if !ok {
		t.Fatal("the store cannot be told how many sign-ins to keep")
	}
	keeper.KeepSignIns(kept)
	add := func(tenant directory.TenantID, n, from int) {
		t.Helper()
		rows := make([]directory.SignIn, n)
		for i := range rows {
			rows[i].Tenant, rows[i].Code = tenant, from+i
		}
		if err := s.AppendSignIns(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	rowsOf := func(tenant directory.TenantID) []directory.SignIn {
		t.Helper()
		rows, err := s.SignIns(t.Context(), directory.SignInFilter{Tenant: tenant, Limit: 100 * batch})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	add("quiet", 10, 1)
	for i := range 20 {
		add("loud", batch, i*batch+1)
	}
	if rows := rowsOf("quiet"); len(rows) != 10 {
		t.Errorf("of the quiet tenant %d rows are left, want all 10", len(rows))
	}
	rows := rowsOf("loud")
	if n := len(rows); n < kept-10-batch || n > kept+kept/10 || rows[0].Code != 20*batch || rows[n-1].Code != 20*batch-n+1 {
		t.Errorf("of the loud tenant %d rows are left, from %d to %d; want its newest, about %d", n, rows[n-1].Code, rows[0].Code, kept-10)
	}
	add("another", 10*batch, 1) // those that have the most give way to each other alone
	add("another", 1, 10*batch+1)
	if loud, another := len(rowsOf("loud")), len(rowsOf("another")); loud < kept/3 || another < kept/3 || loud+another > kept+kept/10+1 {
		t.Errorf("%d and %d rows are left of two loud tenants", loud, another)
	}
	if rows := rowsOf("quiet"); len(rows) != 10 {
		t.Errorf("of the quiet tenant %d rows are left in the end, want all 10", len(rows))
	}
}

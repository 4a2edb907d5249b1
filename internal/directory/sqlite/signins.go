package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// KeepSignIns says how many sign-in rows are kept; a hundredth more may be there at times. It is
// called before the store is used.
func (s *Store) KeepSignIns(n int) { s.keptSignIns = n }

// AppendSignIns keeps sign-in rows, all or none, and forgets the oldest of the tenants with the
// most. Rows are counted at the first call, and again after every hundredth of what is kept.
func (s *Store) AppendSignIns(ctx context.Context, signIns []directory.SignIn) error {
	recount := int64(s.keptSignIns / 100)
	since := s.newSignIns.Add(int64(len(signIns)))
	count := since > recount || since == int64(len(signIns))
	err := s.transact(ctx, func(sqlTx *sql.Tx) error {
		t := &tx{sql: sqlTx, statements: s.write}
		if err := t.addSignIns(ctx, signIns); err != nil || !count {
			return err
		}
		return t.trimSignIns(ctx, s.keptSignIns)
	})
	if err == nil && count {
		s.newSignIns.Store(1) // not zero, which stands for the first call
	}
	return err
}

func (t *tx) addSignIns(ctx context.Context, signIns []directory.SignIn) error {
	sequence, err := newest(ctx, t.query(t.statements.signInSequence))
	if err != nil {
		return err
	}
	for _, row := range signIns {
		body, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("encode a sign-in: %w", err)
		}
		sequence++
		if _, err := exec(ctx, t.query(t.statements.addSignIn), sequence, row.Tenant, row.AppID, row.CorrelationID, failure(row), body); err != nil {
			return fmt.Errorf("keep a sign-in: %w", err)
		}
	}
	return nil
}

// trimSignIns forgets the oldest rows of the tenants that have the most.
func (t *tx) trimSignIns(ctx context.Context, kept int) error {
	type count struct {
		tenant string
		rows   int
	}
	counts, err := collect(ctx, t.query(t.statements.signInCounts), func(rows *sql.Rows, c *count) error { return rows.Scan(&c.tenant, &c.rows) })
	if err != nil {
		return fmt.Errorf("count the sign-ins: %w", err)
	}
	all, total := make([]int, len(counts)), 0
	for i, c := range counts {
		all[i] = c.rows
		total += c.rows
	}
	if total <= kept {
		return nil
	}
	level := directory.SignInLevel(all, kept)
	for _, c := range counts {
		if c.rows <= level {
			continue
		}
		if _, err := exec(ctx, t.query(t.statements.trimSignIns), c.tenant, c.tenant, level); err != nil {
			return fmt.Errorf("forget old sign-ins: %w", err)
		}
	}
	return nil
}

// SignIns returns the newest rows first that the filter keeps.
func (s *Store) SignIns(ctx context.Context, f directory.SignInFilter) ([]directory.SignIn, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	since := "" // as the rows have it, without the Z that would sort behind a fraction
	if !f.Since.IsZero() {
		since = f.Since.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05")
	}
	q, args := s.read.signIns, []any{f.Tenant, f.Tenant, f.AppID, f.AppID, boolean(f.FailuresOnly), since, since, f.User, f.User, f.Limit}
	if f.CorrelationID != "" { // of which there is an index
		q, args = s.read.correlated, append([]any{f.CorrelationID, f.CorrelationID + "\U0010ffff"}, args...)
	}
	rows, err := collect(ctx, q, func(rows *sql.Rows, row *directory.SignIn) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		return json.Unmarshal(body, row)
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read the sign-ins: %w", err)
	}
	return rows, nil
}

// failure is what the column code holds of a row, which chooses among failures: also for one
// without a number it is none of success.
func failure(row directory.SignIn) int {
	if row.Code == 0 {
		return boolean(row.Refused())
	}
	return row.Code
}

// boolean is a truth value in SQL that every engine knows.
func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

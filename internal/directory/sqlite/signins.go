package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// AppendSignIns keeps sign-in rows, all or none, and forgets the oldest beyond the
// newest 100,000.
func (s *Store) AppendSignIns(ctx context.Context, signIns []directory.SignIn) error {
	return s.transact(ctx, func(sqlTx *sql.Tx) error {
		t := &tx{sql: sqlTx, statements: s.write}
		return t.addSignIns(ctx, signIns)
	})
}

func (t *tx) addSignIns(ctx context.Context, signIns []directory.SignIn) error {
	sequence, err := newest(ctx, t.query(ctx, t.statements.signInSequence))
	if err != nil {
		return err
	}
	for _, row := range signIns {
		body, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("encode a sign-in: %w", err)
		}
		sequence++
		if _, err := t.query(ctx, t.statements.addSignIn).exec(ctx, sequence, row.Tenant, row.AppID, row.CorrelationID, row.Code, body); err != nil {
			return fmt.Errorf("keep a sign-in: %w", err)
		}
	}
	if _, err := t.query(ctx, t.statements.trimSignIns).exec(ctx, sequence-keptSignIns); err != nil {
		return fmt.Errorf("forget old sign-ins: %w", err)
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

// boolean is a truth value in SQL that every engine knows.
func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

package server_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// TestAnOlderAuditLogIsSignedAsItIs has rows written without a key, as older versions did.
func TestAnOlderAuditLogIsSignedAsItIs(t *testing.T) {
	dir := closedFolder(t)
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	older, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = older.Change(t.Context(), directory.Operator("test"), makeTenant("contoso"))
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	var log logged
	s := start(t, server.Config{Dir: dir, Log: log.log()})
	log.await(t, "it is signed from here on")
	log.await(t, "the audit log is whole")
	report, err := s.Data().Directory.VerifyAudit(t.Context())
	if err != nil || report.Keyed != 2 || report.Rows < report.Keyed {
		t.Errorf("once a server ran: %+v, %v", report, err)
	}
	if _, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), makeTenant("fabrikam")); err != nil {
		t.Error(err)
	}
	if _, err := s.Data().Directory.VerifyAudit(t.Context()); err != nil {
		t.Errorf("after another change: %v", err)
	}
}

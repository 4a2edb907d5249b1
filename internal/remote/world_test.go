package remote_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	admin    = "admin@contoso.test"
	password = "correct horse battery staple"
)

// A world is a team's server, and another machine that has its URL and its certificates alone.
type world struct {
	*testing.T
	server *server.Server
	admin  directory.ObjectID
	secret string // of orders-client
	state  string
	bundle string
	store  *remote.Store
}

func newWorld(t *testing.T, keyring remote.Keyring) *world {
	t.Helper()
	w := &world{T: t, state: filepath.Join(t.TempDir(), "state", "rolecall"), bundle: filepath.Join(t.TempDir(), "team.pem")}
	var err error
	w.server, err = server.Start(t.Context(), server.Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Prepare: w.populate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.CA().Certificate().Raw})
	if err := os.WriteFile(w.bundle, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	w.store = w.open(keyring)
	return w
}

func (w *world) open(keyring remote.Keyring) *remote.Store {
	w.Helper()
	store, err := remote.New(remote.Config{Dir: w.state, Keyring: keyring})
	if err != nil {
		w.Fatal(err)
	}
	return store
}

func (w *world) populate(ctx context.Context, data *server.Data) error {
	chosen := directory.Choose(password)
	if err := data.Directory.Prepare(ctx, chosen); err != nil {
		return err
	}
	_, err := data.Directory.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
		if err := fixture.Orders(e); err != nil {
			return err
		}
		user, err := e.Users().Create(directory.User{Tenant: fixture.TenantID, PrincipalName: admin, DisplayName: "Admin", DirectoryRoles: []string{"Global Administrator"}}, chosen)
		if err != nil {
			return err
		}
		w.admin = user.ID
		client, err := e.Applications().Find(fixture.TenantID, string(fixture.ClientID))
		if err != nil {
			return err
		}
		_, w.secret, err = e.Credentials().AddSecret(fixture.TenantID, client.ID, "ci", time.Time{})
		if err != nil {
			return err
		}
		graph, err := e.ServicePrincipals().FindAPI(fixture.TenantID, directory.GraphAppID)
		if err != nil {
			return err
		}
		api, err := e.Applications().FindAPI(fixture.TenantID, string(directory.GraphAppID))
		if err != nil {
			return err
		}
		for _, role := range api.AppRoles {
			if role.Value == "Application.Read.All" {
				if _, _, err := e.Assignments().Add(fixture.TenantID, fixture.ClientPrincipal, graph.ID, role.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return err
}

// edit changes the team's directory.
func (w *world) edit(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.server.Data().Directory.Change(w.Context(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) url() string { return w.server.Endpoints().Authority }

// login signs the administrator in by a browser that is elsewhere.
func (w *world) login(l remote.Login) (*remote.Server, error) {
	w.Helper()
	if l.URL == "" {
		l.URL = w.url()
	}
	l.Show = func(code remote.DeviceCode) { w.approve(code, "continue") }
	got, err := w.store.Login(w.Context(), l)
	if err == nil {
		w.Cleanup(got.Close)
	}
	return got, err
}

// approve does what the user does with a code.
func (w *world) approve(code remote.DeviceCode, action string) {
	w.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.server.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	if err := fixture.AnswerDevice(w.Context(), transport, code.Page, code.Code, admin, password, action); err != nil {
		w.Fatal(err)
	}
}

func (w *world) page(answer *http.Response, err error) string {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

// certificate registers a certificate of orders-client and returns its file.
func (w *world) certificate() string {
	w.Helper()
	key, err := fixture.NewKeys()()
	if err != nil {
		w.Fatal(err)
	}
	return w.certificateWith(key)
}

func (w *world) certificateWith(key *rsa.PrivateKey) string {
	w.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "orders-client"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.Fatal(err)
	}
	w.edit(func(e *directory.Editor) error {
		client, err := e.Applications().Find(fixture.TenantID, string(fixture.ClientID))
		if err != nil {
			return err
		}
		_, err = e.Credentials().AddCertificate(fixture.TenantID, client.ID, "prod", der)
		return err
	})
	file := filepath.Join(w.TempDir(), "client.pem")
	content := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		w.Fatal(err)
	}
	return file
}

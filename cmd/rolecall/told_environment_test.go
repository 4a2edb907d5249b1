package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/command"
)

// environmentMisfits are those of who starts a program in an environment that is not what they
// think.
func environmentMisfits() []misfit {
	return []misfit{
		{
			name: "environment without a credential", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{}, true),
			want: []string{"no variable names a credential", "rolecall run --as NAME -- PROGRAM"}, lead: bySetting,
		},
		{
			name: "endpoint of a run that has ended", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.values["free"] = r.port() },
			ask:    inEnvironment(map[string]string{"IDENTITY_ENDPOINT": "http://127.0.0.1:{free}/msi/token", "IDENTITY_HEADER": "x"}, true),
			want:   []string{"nothing listens at http://127.0.0.1:{free}/msi/token: the program or server that set it has ended", "run the program anew"}, lead: bySetting,
		},
		{
			name: "left-over AZURE_CLIENT_ID beside an identity endpoint", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"IDENTITY_ENDPOINT": "http://192.0.2.1/msi/token", "AZURE_CLIENT_ID": "{id of nightly}"}, true),
			want: []string{"AZURE_CLIENT_ID names the application nightly, and the environment offers a managed identity", "It is left over: remove it"}, lead: bySetting,
		},
		{
			name: "AZURE_CLIENT_ID with an object id", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"AZURE_CLIENT_ID": "{object id of nightly}"}, false),
			want: []string{"AZURE_CLIENT_ID is not the client id of nightly", "The client id of nightly is {id of nightly}"}, lead: bySetting,
		},
		{
			name: "AZURE_TENANT_ID of another authority", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"AZURE_TENANT_ID": "72f988bf-86f1-41af-91ab-2d7cd011db47"}, false),
			want: []string{"AZURE_TENANT_ID is '72f988bf-86f1-41af-91ab-2d7cd011db47', which is no tenant here"}, lead: bySetting,
		},
		{
			name: "secret in the environment that has a line break", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"AZURE_CLIENT_SECRET": "{secret of nightly}\n"}, false),
			want: []string{"AZURE_CLIENT_SECRET is no secret of nightly as it is: without its line break it would be", "rolecall env --as nightly"}, lead: bySetting,
		},
		{
			name: "authority that is not set", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"AZURE_AUTHORITY_HOST": ""}, false),
			want: []string{"AZURE_AUTHORITY_HOST is not set, so programs ask at login.microsoftonline.com", "Set it to {authority}/"}, lead: bySetting,
		},
		{
			name: "authority of another server", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"AZURE_AUTHORITY_HOST": "https://localhost:1/"}, false),
			want: []string{"AZURE_AUTHORITY_HOST is 'https://localhost:1', and the server of this data folder is {authority}"}, lead: bySetting,
		},
		{
			name: "certificate authority that nothing trusts", yaml: nightlyAndGreeter,
			ask:  inEnvironment(map[string]string{"SSL_CERT_FILE": "", "NODE_EXTRA_CA_CERTS": "", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}, false),
			want: []string{"no variable names a file with the certificate authority of this data folder", "Set SSL_CERT_FILE and its like"}, lead: bySetting,
		},
		{
			name: "bundle that lacks the certificate authority", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.values["bundle"] = r.certificate("company", 0, 1<<40) },
			ask:    inEnvironment(map[string]string{"REQUESTS_CA_BUNDLE": "{bundle}"}, false),
			want:   []string{"the file of REQUESTS_CA_BUNDLE does not hold the certificate authority of this data folder, so Python refuse", "ca.pem to the file"}, lead: bySetting,
		},
		{
			name: "certificate file that is none", yaml: nightlyAndGreeter,
			before: func(r *toldRow) {
				r.values["junk"] = filepath.Join(r.TempDir(), "junk.pem")
				if err := os.WriteFile(r.values["junk"], []byte("junk"), 0o600); err != nil {
					r.Fatal(err)
				}
			},
			ask:  inEnvironment(map[string]string{"AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": "{junk}"}, false),
			want: []string{"it is neither PEM nor PKCS#12", "Name a file with the certificate and its private key"}, lead: bySetting,
		},
		{
			name: "connection string whose tenant is in braces", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				s := "RunAs=App;AppId={id of nightly};AppKey=x;TenantId={" + r.values["tenant id"] + "}"
				if r.fixed {
					s = "RunAs=App;AppId={id of nightly};AppKey=x;TenantId={tenant id}"
				}
				return does("explain", "--connection-string", s, "-o", "table")(r)
			},
			want: []string{"refused in credential.Parse: TenantId has characters that no tenant has; give the GUID, without braces"}, lead: bySetting,
		},
		{
			name: "connection string with a file that is not there", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				s := "RunAs=App;AppId={id of nightly};TenantId={tenant id};CertificateFile=none.pem"
				if r.fixed {
					s = "RunAs=App;AppId={id of nightly};TenantId={tenant id};CertificateFile=../../credential/testdata/certificates/openssl3.p12;CertificatePassword=geheim"
				}
				return does("explain", "--connection-string", s, "-o", "table")(r)
			},
			want: []string{"refused in credential.Parse: CertificateFile: no such file"}, lead: bySetting,
		},
	}
}

// inEnvironment asks what a program would ask with: in the environment that `rolecall env`
// prints for nightly, but for some variables; or in one that has them alone.
func inEnvironment(wrong map[string]string, alone bool) func(*toldRow) told {
	return func(r *toldRow) told {
		r.env = nil
		right := map[string]string{}
		if err := json.Unmarshal([]byte(r.must("env", "--as", "nightly", "-o", "json")), &right); err != nil {
			r.Fatal(err)
		}
		env := map[string]string{}
		if !alone || r.fixed {
			maps.Copy(env, right)
		}
		if !r.fixed {
			for name, value := range wrong {
				env[name] = r.fill(value)
			}
		}
		r.env = env
		defer func() { r.env = nil }()
		code, out, said := r.run("", "explain", "--environment", "-o", "table")
		if code == command.ExitOK {
			return told{200, strings.TrimSpace(out)}
		}
		return told{400, out + said}
	}
}

package manifest_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

func Example() {
	file, err := manifest.Parse("rolecall.yaml", []byte(`
tenants:
  - name: contoso
    applications:
      - name: orders-server
        appRoles: [{value: Orders.Read}]
      - name: orders-client
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
`), os.LookupEnv, os.ReadFile)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	dir, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the second time, there is nothing left to do
		var result *manifest.Result
		_, err = dir.Change(ctx, directory.Operator("example"), func(e *directory.Editor) (err error) {
			result, err = file.Apply(e, manifest.Options{})
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(result.Notes), "changes")
	}
	// Output:
	// 7 changes
	// 0 changes
}

func ExampleParse() {
	_, err := manifest.Parse("rolecall.yaml", []byte("tenants:\n  - title: contoso\n"), os.LookupEnv, os.ReadFile)
	fmt.Println(err)
	// Output:
	// rolecall.yaml:2:5: "title" is no member of a tenant. Its members are: appManagementPolicy, applications, domains, enabled, hosts, id, managedIdentities, name, resourceGroups, users.
	// rolecall.yaml:2:5: a tenant lacks its name. Add name.
}

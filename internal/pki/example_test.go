package pki_test

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

func Example() {
	dir, err := os.MkdirTemp("", "rolecall")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ca, err := pki.Open(pki.Config{Dir: dir, Hosts: []string{"login.corp.test"}})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{TLSConfig: ca.TLSConfig()} // then ServeTLS(listener, "", "")
	fmt.Println(server.TLSConfig.NextProtos, filepath.Base(ca.Path()), ca.Certificate().PermittedDNSDomains)
	// Output: [h2 http/1.1] ca.pem [localhost login.corp.test]
}

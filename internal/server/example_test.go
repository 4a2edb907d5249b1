package server_test

import (
	"context"
	"log"
	"os"
	"os/exec"

	"github.com/rolecall-auth/rolecall/internal/server"
)

func ExampleBind() {
	run := func(ctx context.Context, dir string) error {
		// The server of the folder lets this process and its children act as the identity,
		// until the binding is closed or the process ends.
		binding, err := server.Bind(ctx, dir, server.BindRequest{As: "orders-client-mi", Via: "app-service"})
		if err != nil {
			return err
		}
		defer binding.Close()
		client := exec.CommandContext(ctx, "./client")
		client.Env = os.Environ()
		for name, value := range binding.Environment {
			client.Env = append(client.Env, name+"="+value)
		}
		return client.Run()
	}
	if len(os.Args) > 1 && os.Args[1] == "run" {
		log.Fatal(run(context.Background(), os.Args[2]))
	}
	// Output:
}

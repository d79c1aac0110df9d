// Command payment-go is payment-service in Go. It has OpenTelemetry in its code, as Go services have, and every bit of
// configuration from OTEL_* variables. It serves by default; "payment-go client" makes calls instead.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, arguments []string) (err error) {
	shutdown, err := setUpTelemetry(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shutdown()) }()
	switch {
	case len(arguments) == 0 || arguments[0] == "server":
		return serve(ctx)
	case arguments[0] == "client":
		return callPayments(ctx, arguments[1:])
	default:
		return fmt.Errorf("%q is neither server nor client", arguments[0])
	}
}

// env returns the variable's value, or fallback where it is not set.
func env(name, fallback string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return fallback
}

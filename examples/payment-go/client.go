package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"time"

	"google.golang.org/grpc/status"

	pb "example.com/payment-go/paymentpb"
)

// callPayments pays a number of times and prints how the calls ended as one JSON line.
func callPayments(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	target := flags.String("payment", env("PAYMENT_UPSTREAM", "payment-service:50051"), "where to pay")
	count := flags.Int("ok", 1, "number of calls")
	customer := flags.String("customer", "customer-1", "who pays; payment.proto knows the difficult ones")
	timeout := flags.Duration("timeout", 10*time.Second, "deadline of a call")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	connection, err := dial(*target)
	if err != nil {
		return err
	}
	defer connection.Close()
	payments := pb.NewPaymentServiceClient(connection)
	endings := map[string]int{}
	for range *count {
		callCtx, cancel := context.WithTimeout(ctx, *timeout)
		_, err := payments.ProcessPayment(callCtx, &pb.PaymentRequest{Amount: 42, Currency: "EUR", CustomerId: *customer})
		cancel()
		endings[status.Code(err).String()]++
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"mode": "go", "total": *count, "calls": endings})
}

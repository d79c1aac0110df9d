package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "example.com/payment-go/paymentpb"
)

var tracer = otel.Tracer("payment")

// paymentService answers as the Python payment-service does. A customer "via-upstream" is passed on to upstream.
type paymentService struct {
	pb.UnimplementedPaymentServiceServer
	upstream pb.PaymentServiceClient // nil: there is none
}

func (s *paymentService) ProcessPayment(ctx context.Context, request *pb.PaymentRequest) (*pb.PaymentResponse, error) {
	_, span := tracer.Start(ctx, "validate_payment")
	span.SetAttributes(
		attribute.Float64("payment.amount", request.Amount),
		attribute.String("payment.currency", request.Currency))
	span.End()
	if request.Amount <= 0 {
		return nil, status.Errorf(codes.InvalidArgument, "amount %v is not positive", request.Amount)
	}
	return s.pay(ctx, request)
}

func (s *paymentService) ProcessBatch(stream pb.PaymentService_ProcessBatchServer) error {
	summary := &pb.BatchSummary{}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(summary)
		}
		if err != nil {
			return err
		}
		if _, err := s.pay(stream.Context(), request); err != nil {
			return err
		}
		summary.Accepted++
		summary.Total += request.Amount
	}
}

func (s *paymentService) ListPayments(request *pb.ListPaymentsRequest, stream pb.PaymentService_ListPaymentsServer) error {
	for range request.Limit {
		answer, err := s.pay(stream.Context(), &pb.PaymentRequest{CustomerId: request.CustomerId})
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

func (s *paymentService) ProcessStream(stream pb.PaymentService_ProcessStreamServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := s.pay(stream.Context(), request)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// pay does what the difficult customers of payment.proto ask for, and accepts.
func (s *paymentService) pay(ctx context.Context, request *pb.PaymentRequest) (*pb.PaymentResponse, error) {
	kind, argument, _ := strings.Cut(request.CustomerId, "-")
	switch kind {
	case "slow":
		milliseconds, err := strconv.Atoi(argument)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	case "fail":
		var code codes.Code
		if err := code.UnmarshalJSON([]byte(strconv.Quote(argument))); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		return nil, status.Errorf(code, "bank is closed for %s", request.CustomerId)
	case "crash":
		return nil, fmt.Errorf("no ledger for %s", request.CustomerId) // grpc makes it UNKNOWN, as it does in Python
	case "via":
		if s.upstream == nil {
			return nil, status.Error(codes.FailedPrecondition, "PAYMENT_UPSTREAM is not set")
		}
		return s.upstream.ProcessPayment(ctx, &pb.PaymentRequest{
			Amount: request.Amount, Currency: request.Currency, CustomerId: "customer-1"})
	}
	return &pb.PaymentResponse{TransactionId: "go-" + strconv.FormatInt(time.Now().UnixNano(), 36), Status: "ACCEPTED"}, nil
}

func serve(ctx context.Context) error {
	service := &paymentService{}
	if target := env("PAYMENT_UPSTREAM", ""); target != "" {
		connection, err := dial(target)
		if err != nil {
			return err
		}
		defer connection.Close()
		service.upstream = pb.NewPaymentServiceClient(connection)
	}
	listener, err := net.Listen("tcp", ":"+env("PORT", "50051"))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	pb.RegisterPaymentServiceServer(server, service)
	go func() { <-ctx.Done(); server.GracefulStop() }()
	log.Printf("payment-go listens on %s", listener.Addr())
	return server.Serve(listener)
}

// dial returns a connection whose calls are traced.
func dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
}

package main

import (
	"context"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
)

const flushWithin = 2 * time.Second

// setUpTelemetry configures exporter, sampler, resource and propagators from OTEL_* alone: without these variables
// nothing is exported. The function it returns flushes.
func setUpTelemetry(ctx context.Context) (func() error, error) {
	exporter, err := autoexport.NewSpanExporter(ctx, autoexport.WithFallbackSpanExporter(
		func(context.Context) (trace.SpanExporter, error) { return nil, nil }))
	if err != nil {
		return nil, err
	}
	var options []trace.TracerProviderOption // the SDK itself reads sampler and resource from the environment
	if exporter != nil && !autoexport.IsNoneSpanExporter(exporter) {
		options = append(options, trace.WithBatcher(exporter))
	}
	provider := trace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
		defer cancel()
		return provider.Shutdown(ctx)
	}, nil
}

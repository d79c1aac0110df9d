"""GrpcTracing: distributed tracing for gRPC Deployments, without a change to code or image."""

__version__ = "0.1.0"

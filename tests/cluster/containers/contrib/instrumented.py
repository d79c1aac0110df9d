"""The payment service as one who traces it by hand starts it: spans go to standard output, one line of JSON each."""
# Only the image has contrib's packages.
# mypy: disable-error-code="import-not-found"

import runpy

from opentelemetry import trace
from opentelemetry.instrumentation.grpc import GrpcInstrumentorServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
exporter = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
GrpcInstrumentorServer().instrument()
runpy.run_module("payment.server", run_name="__main__")

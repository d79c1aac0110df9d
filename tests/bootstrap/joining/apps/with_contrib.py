"""opentelemetry-instrumentation-grpc with an SDK of the application's: switched on before or after grpc is imported, during a call, or not at all."""

import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def switch_on():
    from opentelemetry.instrumentation import grpc as contrib

    contrib.GrpcInstrumentorClient().instrument()
    contrib.GrpcInstrumentorServer().instrument()
    if hasattr(contrib, "GrpcAioInstrumentorClient"):  # since 0.34
        contrib.GrpcAioInstrumentorClient().instrument()
        contrib.GrpcAioInstrumentorServer().instrument()


def told(span, names):
    scope = (
        span.instrumentation_scope.name if hasattr(span, "instrumentation_scope") else span.instrumentation_info.name
    )
    parent = names.get(span.parent.span_id, "?") if span.parent else ""
    return [names[span.context.span_id], parent, span.status.status_code.name, scope]


def main(how):
    exporter = InMemorySpanExporter()
    if how != "launched":  # opentelemetry-instrument sets an SDK up itself
        trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    if how == "before":
        switch_on()
    elif how != "launched":
        from opentelemetry.instrumentation import grpc as _  # noqa: F401 - contrib's module is there, and does nothing
    import echo

    if how == "after":
        echo.first()
        switch_on()
    if how == "during":

        def fail(request, context):
            switch_on()
            context.abort(echo.grpc.StatusCode.INTERNAL, "while it was switched on")

        echo.fail = fail
        seen = [echo.sync()]
    else:
        seen = echo.run()
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: f"{span.kind.name} {span.name.lstrip('/')}" for span in spans}
    print(json.dumps({"app": seen, "theirs": sorted(told(span, names) for span in spans)}))


main(sys.argv[1])

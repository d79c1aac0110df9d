"""What the exporter asks for: transports, and requests as bytes. Compiled with it when there is something to export, see dormant."""

from . import __version__, encode, resource
from .exporter import Exporter
from .metrics import Meter
from .transport_grpc import GrpcTransport
from .transport_http import HttpTransport

_OWN_METRICS = (
    ("spans_dropped", "Spans that were dropped because the queue was full."),
    ("spans_lost", "Spans that the Collector did not take in all attempts."),
    ("spans_rejected", "Spans that the Collector refused."),
    ("internal_errors", "Errors inside the instrumentation."),
)


def exporter(pipeline, environ, generation):
    """Return the Exporter of this process. *generation*: how many forks it is away from the process that imported grpc."""
    meter = Meter(pipeline.points, pipeline.config.delta)
    return Exporter(
        pipeline.config, pipeline.buffer, meter, Work(pipeline, meter, resource.attributes(environ, generation))
    )


class Work:
    """What one process exports, and who it says that it is."""

    def __init__(self, pipeline, meter, attributes):
        self._pipeline = pipeline
        self._meter = meter
        self._resource = encode.resource(attributes.items())
        self._encoder = encode.SpanEncoder(pipeline.config.limits)
        self.error = pipeline.error

    @staticmethod
    def connect(endpoint):
        """Return the transport that *endpoint* asks for. No I/O."""
        return (GrpcTransport if endpoint.protocol == "grpc" else HttpTransport)(endpoint)

    def encode(self, items, rest):
        """Return the trace request of *items*, b"" if none can be written. One that can't is dropped and counted as an internal error.

        *rest*() is called now and then (None: never), for the application's threads want to run, too.
        """
        scoped, problems = self._encoder.batch(items, rest)
        for problem in problems:
            self.error(problem, "encode")
        return encode.request(self._resource, scoped) if scoped else b""

    def collect(self):
        """Return the metrics request of now, b"" if there is nothing to say."""
        counters = self._pipeline.counters
        own = [("grpctracing." + name.replace("_", "."), "{span}", text, counters[name]) for name, text in _OWN_METRICS]
        members = self._meter.collect(own)
        return encode.request(self._resource, [(encode.scope("grpctracing", __version__), members)]) if members else b""

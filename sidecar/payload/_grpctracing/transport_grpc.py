"""OTLP/gRPC over the application's own grpcio: raw bytes in and out, so no protobuf of anyone's is needed.

The channel has its own subchannels (nothing is shared with the application's), no retries of gRPC's (the exporter has its own, bounded), and a short
reconnect backoff, because a Collector that comes back should be found in seconds and not after gRPC's two minutes. Calls are blocking ones: they need
no thread of their own. They run with `context.suppressed` set, so our hooks let them pass.
"""

import sys

from . import decode, log
from .lane import FAILED, RETRY, SENT, Outcome

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.primary_user_agent", "grpctracing"),
)
# protocol/otlp: transient codes. RESOURCE_EXHAUSTED counts with or without RetryInfo: dropping at once would punish a short overload.
_RETRYABLE = frozenset(
    ("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
)
_TOO_LARGE = "larger than max"  # so say C and Go of a request that will never be taken


def _read(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


class GrpcTransport:
    """One channel to one Collector, made at the first send."""

    def __init__(self, endpoint):
        self._endpoint = endpoint
        self._channel = None
        self._methods = {}

    def _connect(self):
        import grpc

        insecure, secure = sys.modules[__package__].channels or (grpc.insecure_channel, grpc.secure_channel)
        where = self._endpoint
        compression = grpc.Compression.Gzip if where.gzip else None
        if where.tls:
            credentials = grpc.ssl_channel_credentials(_read(where.ca), _read(where.key), _read(where.certificate))
            channel = secure(where.target, credentials, _OPTIONS, compression)
        else:
            channel = insecure(where.target, _OPTIONS, compression)
        self._methods = {
            signal: channel.unary_unary(method, request_serializer=None, response_deserializer=None)
            for signal, method in _METHODS.items()
        }
        self._channel = channel

    def send(self, signal, endpoint, body, timeout):
        """Send the request *body* of *signal*, wait at most *timeout* seconds, return the Outcome. Raises nothing that the network can cause."""
        import grpc

        try:
            if self._channel is None:
                self._connect()
            response = self._methods[signal](body, timeout=timeout, metadata=endpoint.headers or None)
        except grpc.RpcError as error:
            return _failure(error)
        except (
            OSError,
            ValueError,
        ) as error:  # a certificate that can't be read; a channel that was closed by shutdown
            return Outcome(FAILED, message=str(error))
        rejected, message = _partial(response)
        return Outcome(SENT, rejected=rejected, message=message)

    def close(self):
        """Close the channel; a send in flight on another thread ends at once with CANCELLED."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def renew(self):
        """End what is in flight. A new channel comes before the old one goes: where it is the last one, grpc's core shuts down, and a fork meanwhile never returns."""
        channel = self._channel
        if channel is not None:
            self._connect()
            channel.close()

    def forkable(self):
        """Return whether a fork may happen while a send is in flight: never, see Exporter.hold."""
        return False

    def abandon(self):
        """Forget the channel without touching it: in a forked child it is the parent's, and even closing it may hang. Never freed for the same reason."""
        _abandoned.append((self._channel, self._methods))
        self._channel, self._methods = None, {}


_abandoned = []


def _partial(response):
    try:
        return decode.partial_success(response)
    except ValueError as problem:
        log.debug("the Collector's answer is not readable: %s" % problem)
        return 0, ""


def _failure(error):
    code = error.code()
    name = code.name if code is not None else "UNKNOWN"
    message = "%s: %s" % (name, error.details() or "")
    if name in _RETRYABLE and _TOO_LARGE not in message:
        return Outcome(RETRY, retry_after=_retry_after(error), message=message)
    return Outcome(FAILED, message=message)


def _retry_after(error):
    """Return the seconds that the server asks to wait (google.rpc.RetryInfo in the trailing metadata), or None."""
    try:
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":  # google.rpc.Status: details = 3, Any: type_url = 1, value = 2
                for number, detail in decode.fields(value):
                    inner = dict(decode.fields(detail)) if number == 3 else {}  # noqa: PLR2004 - details
                    if inner.get(1, b"").endswith(b"google.rpc.RetryInfo"):
                        return _duration(inner.get(2, b""))
            elif key == "google.rpc.retryinfo-bin":
                return _duration(value)
    except (ValueError, TypeError, AttributeError):  # not readable is as good as not there
        return None
    return None


def _duration(body):
    """Return the seconds of a RetryInfo: retry_delay = 1 {seconds = 1, nanos = 2}."""
    delay = dict(decode.fields(dict(decode.fields(body)).get(1, b"")))
    return delay.get(1, 0) + delay.get(2, 0) / 1e9

"""What the fuzzers throw bytes at: every place where the payload reads what others wrote. A target raises when a promise is broken.

Standard library only: `scripts/fuzz.py` runs them under atheris in an environment that has nothing else, `test_fuzz` under hypothesis.
"""

import json
import sys
from pathlib import Path

PAYLOAD = Path(__file__).parents[3] / "sidecar" / "payload"
if "_grpctracing" not in sys.modules:
    sys.path.insert(0, str(PAYLOAD))
    import _grpctracing

    sys.path.remove(str(PAYLOAD))
    assert _grpctracing
from _grpctracing import (  # noqa: E402 - found in the lines above
    config,
    decode,
    encode,
    join,
    log,
    metadata,
    pipeline,
    propagation,
    settings,
    transport_grpc,
    transport_http,
)
from _grpctracing.call import Calls  # noqa: E402 - as above

KEYS = ("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")
VARIABLES = [
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_LOG_LEVEL",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_PROPAGATORS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "GRPCTRACING_LOG",
    "GRPCTRACING_PINNED",
    "GRPCTRACING_RESOURCE_ATTRIBUTES",
]
EVERY = propagation.Propagation(tuple(name for name in propagation.NAMES if name != "none"))


def _calls():
    """Return what the hooks call, with errors of ours that come out instead of being counted."""
    made = pipeline.Pipeline({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"})
    made.settings.request_metadata = ("a", "baggage")
    made.error = _raise
    return Calls(made, join.Join(made, None))


def _raise(problem, _):
    raise problem


CALLS = _calls()


def quiet():
    """Say nothing of what was malformed: that is all that fuzzing is about."""
    log._said.update(map(str, range(log._MAX_WARNINGS)))


def _text(data):
    return data.decode("utf-8", "surrogateescape")


def headers(data):
    """Context that a stranger sent: a sane one or none, and what is sent on is read as the same again."""
    pairs = [(KEYS[part[0] % len(KEYS)], _text(part[1:])) for part in data.split(b"\n") if part]
    found, baggage = EVERY.extract(pairs)
    if found is not None:
        assert 0 < found.trace_id < 1 << 128
        assert 0 < found.span_id < 1 << 64
        assert 0 <= found.flags < 256
    again, same = EVERY.extract(EVERY.inject(found, baggage))
    assert same == baggage
    assert found is None or (again.trace_id, again.span_id, again.flags & 1) == (
        found.trace_id,
        found.span_id,
        found.flags & 1,
    )


def file(data):
    """settings.json: a Settings, or a ValueError."""
    for text in (_text(data), json.dumps({"version": 1})[:-1] + "," + _text(data) + "}"):
        try:
            found = settings.parse(text, config.Config({}))
        except (ValueError, RecursionError):
            continue
        assert isinstance(found, settings.Settings)


def environ(data):
    """The process's environment: always a pipeline, whatever it says."""
    parts = [part for part in data.replace(b"\0", b"").split(b"\n") if part]
    pipeline.Pipeline({VARIABLES[part[0] % len(VARIABLES)]: _text(part[1:]) for part in parts})


class _Refusal:
    """A grpc.RpcError whose trailing metadata is what was sent."""

    def __init__(self, data):
        self._data = data

    def trailing_metadata(self):
        return (("grpc-status-details-bin", self._data), ("google.rpc.retryinfo-bin", self._data))


def answer(data):
    """What a Collector answers: understood or not, but no error."""
    try:
        rejected, message = decode.partial_success(data)
    except ValueError:
        pass
    else:
        assert isinstance(rejected, int)
        assert isinstance(message, str)
    assert transport_http._outcome(200, None, data).result == "sent"
    assert transport_http._outcome(429, _text(data), b"").result == "retry"
    assert isinstance(transport_grpc._retry_after(_Refusal(data)), (int, float, type(None)))


def collection(data):
    """The metadata of the application's calls, malformed too: what is not ours stays, in order, and ours comes last."""
    given = []
    for part in data.split(b"\n"):
        key, _, value = part.partition(b"=")
        shapes = (
            (_text(key), _text(value)),
            (_text(key), value),
            (key, value),
            (_text(key),),
            _text(key),
            None,
            7,
            (None, value),
        )
        given.append(shapes[part[0] % len(shapes)] if part else ())
    _, sent = metadata.Outgoing(CALLS).begin(b"/a.B/C", given, str, "target")
    kept = [pair for pair in given if not metadata._has((pair,), CALLS.pipeline.header_names)]
    assert list(sent[: len(kept)]) == kept
    assert {pair[0] for pair in sent[len(kept) :]} <= CALLS.pipeline.header_names


def span(data):
    """A call as strangers may shape it: method, target, status message, captured metadata. It is encoded, and the encoding is sound."""
    parts = [*data.split(b"\n"), b"", b"", b"", b""]
    call = CALLS.begin(2 + len(data) % 2, _text(parts[0]), _text(parts[1]), None)
    call.metadata = ((_text(parts[3]), [_text(part) for part in parts[4:]]),)
    call.stop(len(data) % 17, _text(parts[2]))
    chunks, problems = encode.SpanEncoder(config.Config({}).limits).batch([call])
    assert not problems, problems
    assert list(decode.fields(encode.request(b"", chunks)))


TARGETS = (headers, file, environ, answer, collection, span)

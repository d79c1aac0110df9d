"""The process's environment, read once: the specification's `OTEL_*` variables and our few own.

A malformed value never stops anything: the default stands in and one warning line says so. Sources: configuration/sdk-environment-variables.md and
protocol/exporter.md of the OpenTelemetry specification. Where the specification leaves a choice:
- `OTEL_EXPORTER_OTLP_PROTOCOL` unset means grpc, as in opentelemetry-distro for Python; `http/json` is not spoken, `http/protobuf` stands in.
- `OTEL_EXPORTER_OTLP_TIMEOUT` is in milliseconds (specification); values below 100 are seconds, which is what opentelemetry-python takes them for.
- `OTEL_BSP_SCHEDULE_DELAY` unset means 1 s, not 5 s: that much less is lost to a SIGKILL.
- `OTEL_METRICS_EXPORTER` unset means otlp where traces go by otlp, else none.
"""

from . import log, propagation

_HEX = frozenset("0123456789abcdefABCDEF")
_MOST = 128
# How opentelemetry-distro names them; `otlp` alone leaves the protocol to OTEL_EXPORTER_OTLP_PROTOCOL.
_OTLP = {"otlp": "", "otlp_proto_grpc": "grpc", "otlp_proto_http": "http/protobuf"}
_SIGNAL_PATHS = {"traces": "v1/traces", "metrics": "v1/metrics"}


def unquote(text):
    """Return *text* with %xx decoded as UTF-8 (urllib.parse.unquote, whose import costs 3 ms)."""
    if "%" not in text:
        return text
    head, *parts = text.split("%")
    out = [head.encode("utf-8", "surrogatepass")]
    for part in parts:
        pair = part[:2]
        if len(pair) == 2 and _HEX.issuperset(pair):  # noqa: PLR2004 - two digits
            out.append(bytes.fromhex(pair) + part[2:].encode("utf-8", "surrogatepass"))
        else:
            out.append(b"%" + part.encode("utf-8", "surrogatepass"))
    return b"".join(out).decode("utf-8", "replace")


def pairs(text, variable):
    """Return the key=value list *text* as a dict in order, percent-decoded; a member without "=" is left out with a warning that names *variable*."""
    found = {}
    for member in (text or "").split(","):
        key, equals, value = member.partition("=")
        if equals and key.strip():
            found[key.strip()] = unquote(value.strip())
        elif member.strip():
            log.warn("%s: %r is not key=value; left out" % (variable, member.strip()))
    return found


def number(environ, variable, default, minimum=1):
    """Return the variable as a non-negative integer, or *default* (with a warning when it is set but unusable)."""
    text = environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = minimum - 1
    if value < minimum:
        instead = "no limit" if default is None else default
        log.warn("%s: %r is not a whole number of at least %d; using %s" % (variable, text, minimum, instead))
        return default
    return value


class Limits:
    """How much one span may hold (trace/sdk.md#span-limits): numbers of attributes, events and links, and characters of a text value (None: any)."""

    __slots__ = ("attributes", "event_attributes", "events", "length", "link_attributes", "links", "span_length")

    def __init__(self, environ):
        common = number(environ, "OTEL_ATTRIBUTE_COUNT_LIMIT", _MOST, minimum=0)
        self.attributes = number(environ, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", common, minimum=0)
        self.event_attributes = number(environ, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", common, minimum=0)
        self.link_attributes = number(environ, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", common, minimum=0)
        self.events = number(environ, "OTEL_SPAN_EVENT_COUNT_LIMIT", _MOST, minimum=0)
        self.links = number(environ, "OTEL_SPAN_LINK_COUNT_LIMIT", _MOST, minimum=0)
        self.length = number(environ, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None, minimum=0)
        self.span_length = number(environ, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", self.length, minimum=0)


def choice(environ, variable, allowed, default):
    """Return the variable, lower case, if it is one of *allowed*; else *default* (with a warning when it is set)."""
    text = environ.get(variable, "").strip().lower()
    if not text or text in allowed:
        return text or default
    log.warn("%s: %r is not one of %s; using %s" % (variable, text, ", ".join(allowed), default))
    return default


def choices(environ, variable, allowed, default):
    """Return the variable's comma-separated names that are in *allowed*, without repetition; *default* when none is left. "none" alone means ()."""
    text = environ.get(variable, "").strip()
    if not text:
        return tuple(default)
    names = []
    for name in (part.strip().lower() for part in text.split(",")):
        if name in allowed:
            if name not in names:
                names.append(name)
        elif name:
            log.warn("%s: %r is not one of %s; left out" % (variable, name, ", ".join(allowed)))
    if "none" in names:
        return ()
    return tuple(names) or tuple(default)


def exporters(environ, signal, default):
    """Return (names, protocol) of OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER: "otlp" and "console"; protocol "" where the name does not say it."""
    names = choices(environ, "OTEL_%s_EXPORTER" % signal.upper(), (*_OTLP, "console", "none"), default)
    protocols = [_OTLP[name] for name in names if name in _OTLP]
    found = ("otlp",) if protocols else ()
    return found + tuple(name for name in names if name not in _OTLP), max(protocols, default="")


class Endpoint:
    """Where and how one signal is sent: protocol, url parts, TLS files, headers, seconds to wait."""

    __slots__ = (
        "ca",
        "certificate",
        "gzip",
        "headers",
        "host",
        "key",
        "path",
        "port",
        "protocol",
        "target",
        "timeout",
        "tls",
    )

    def identity(self):
        """Return what two signals must share to go over one connection."""
        return tuple(getattr(self, name) for name in self.__slots__ if name not in {"headers", "timeout", "path"})

    def __repr__(self):
        return "%s%s/%s" % (
            "https://" if self.tls else "http://",
            self.target,
            self.path if self.protocol != "grpc" else "",
        )


def endpoint(environ, signal, protocol=""):
    """Return the Endpoint of *signal* ("traces" or "metrics"): its own variables first, then the common ones; *protocol* goes before both."""

    def get(name):
        return (
            environ.get("OTEL_EXPORTER_OTLP_%s_%s" % (signal.upper(), name), "").strip()
            or environ.get("OTEL_EXPORTER_OTLP_" + name, "").strip()
        )

    where = Endpoint()
    where.protocol = protocol or get("PROTOCOL").lower() or "grpc"
    if where.protocol not in {"grpc", "http/protobuf"}:
        log.warn("OTEL_EXPORTER_OTLP_PROTOCOL: %r is not grpc or http/protobuf; using http/protobuf" % where.protocol)
        where.protocol = "http/protobuf"
    own = environ.get("OTEL_EXPORTER_OTLP_%s_ENDPOINT" % signal.upper(), "").strip()
    url = own or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    _split(
        where,
        url or ("http://localhost:4317" if where.protocol == "grpc" else "http://localhost:4318"),
        get("INSECURE").lower() == "true",
    )
    if not own:
        where.path = where.path.rstrip("/") + "/" + _SIGNAL_PATHS[signal] if where.path else _SIGNAL_PATHS[signal]
    where.headers = tuple(_headers(get("HEADERS")))
    timeout = number({"OTEL_EXPORTER_OTLP_TIMEOUT": get("TIMEOUT")}, "OTEL_EXPORTER_OTLP_TIMEOUT", 10000)
    where.timeout = float(timeout) if timeout < 100 else timeout / 1000.0  # noqa: PLR2004 - see the module's docstring
    where.ca, where.key, where.certificate = get("CERTIFICATE"), get("CLIENT_KEY"), get("CLIENT_CERTIFICATE")
    where.gzip = get("COMPRESSION").lower() == "gzip"
    return where


def _split(where, url, insecure):
    """Fill target, host, port, path and tls from *url*; without a scheme it is a bare gRPC target, encrypted unless INSECURE says true."""
    scheme, colons, rest = url.partition("://")
    scheme = scheme.lower()
    if not colons:
        scheme, rest = ("http" if insecure else "https"), url
    elif scheme not in {"http", "https"}:  # unix:///path, dns:///name: gRPC's own names
        where.target, where.host, where.port, where.path, where.tls = url, "", 0, "", not insecure and scheme != "unix"
        return
    where.tls = scheme == "https"
    authority, _, where.path = rest.partition("/")
    where.target = authority = authority.rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):  # no port: a name or a bare [v6] address
        host, port = authority, ""
    where.host = host.strip("[]")
    where.port = int(port) if port.isdecimal() else (443 if where.tls else 80)


def _headers(text):
    for key, value in pairs(text, "OTEL_EXPORTER_OTLP_HEADERS").items():
        if key.isascii() and value.isascii() and value.isprintable():
            yield key.lower(), value
        else:
            log.warn(
                "OTEL_EXPORTER_OTLP_HEADERS: the value of %r has characters that a header can't carry; left out" % key
            )


def _list(environ, variable):
    return frozenset(name.strip() for name in environ.get(variable, "").split(",") if name.strip())


class Config:
    """All that the environment says. Plain attributes, filled once; nothing here changes while the process lives."""

    def __init__(self, environ):
        self.uninstrumented = _list(environ, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
        self.disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or "*" in self.uninstrumented
        self.hooks = choice(environ, "GRPCTRACING_HOOKS", ("internal", "public"), "internal")
        self.excluded = _list(environ, "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES")
        self.sampler = (
            environ.get("OTEL_TRACES_SAMPLER", "").strip(),
            environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip(),
        )
        self.pinned = _list(environ, "GRPCTRACING_PINNED")
        names = choices(environ, "OTEL_PROPAGATORS", propagation.NAMES, propagation.DEFAULT)
        self.propagation = propagation.Propagation(names)
        self.trace_exporters, protocol = exporters(environ, "traces", ("otlp",))
        default = ("otlp",) if "otlp" in self.trace_exporters else ()
        self.metric_exporters, metrics_protocol = exporters(environ, "metrics", default)
        self.limits = Limits(environ)
        self.traces = endpoint(environ, "traces", protocol)
        self.metrics = endpoint(environ, "metrics", metrics_protocol or protocol)
        self.metric_interval = number(environ, "OTEL_METRIC_EXPORT_INTERVAL", 60000) / 1000.0
        allowed = ("cumulative", "delta", "lowmemory")
        preference = choice(environ, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", allowed, "cumulative")
        self.delta = preference != "cumulative"  # lowmemory is delta for all that we have: counters and histograms
        self.delay = number(environ, "OTEL_BSP_SCHEDULE_DELAY", 1000, minimum=0) / 1000.0
        self.queue_size = number(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)
        self.batch_size = min(number(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512), self.queue_size)
        self.metrics.timeout = min(self.metrics.timeout, number(environ, "OTEL_METRIC_EXPORT_TIMEOUT", 30000) / 1000.0)
        self.traces.timeout = min(self.traces.timeout, number(environ, "OTEL_BSP_EXPORT_TIMEOUT", 30000) / 1000.0)

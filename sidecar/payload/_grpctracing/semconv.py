"""Names and attributes of a call's span: RPC semantic conventions 1.44 (docs/rpc/grpc.md, docs/rpc/rpc-spans.md). Pure tables and parsing.

`OTEL_SEMCONV_STABILITY_OPT_IN=rpc` asks for the stable names alone. Otherwise the older ones that today's dashboards use come along, except that
`rpc.method` has the stable form in both (the two collide; otelgrpc for Go decides the same way). What follows from kind, method, target and ending
is "fixed" and encoded once by the exporter; the rest is "varying".
"""

from . import status

OTHER = "_OTHER"
STATUS_CODE = "rpc.response.status_code"  # becomes rpc.status_code when semantic-conventions 3921 is released

_older = True


def configure(environ):
    """Read OTEL_SEMCONV_STABILITY_OPT_IN (comma list; `rpc/dup` wins over `rpc`) from *environ*."""
    global _older
    wanted = {part.strip() for part in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")}
    _older = "rpc/dup" in wanted or "rpc" not in wanted


def method_name(method):
    """Return "pkg.Svc/Method" for the path *method*."""
    return method[1:] if method[:1] == "/" else method


def span_name(call):
    """Return the span's name: the method, or "grpc" where it is not one that the server has."""
    return "grpc" if call.method == OTHER else method_name(call.method)


def fixed_attributes(call):
    """Return (key, value) pairs that follow from kind, method, target, code, error_type and keep."""
    method = method_name(call.method)
    found = [("rpc.system.name", "grpc"), ("rpc.method", method), (STATUS_CODE, status.name(call.code))]
    if call.error_type:
        found.append(("error.type", call.error_type))
    if call.kind == status.CLIENT and call.target:
        found += server_attributes(call.target)
    if _older:
        found.append(("rpc.system", "grpc"))
        service, slash, _ = method.rpartition("/")
        if slash:
            found.append(("rpc.service", service))
        found.append(("rpc.grpc.status_code", call.code))
    if call.keep:
        found.append(("grpctracing.keep", call.keep))
    return found


def varying_attributes(call):
    """Return (key, value) pairs that differ from call to call."""
    found = []
    if call.counts:
        found += (
            ("grpctracing.messages.sent", call.sent),
            ("grpctracing.messages.received", call.received),
            ("grpctracing.bytes.sent", call.bytes_sent),
            ("grpctracing.bytes.received", call.bytes_received),
        )
    if call.kind == status.SERVER and call.target:
        address, port = peer_of(call.target)
        found.append(("network.peer.address", address))
        if port:
            found.append(("network.peer.port", port))
    if call.original is not None:
        found.append(("rpc.method_original", method_name(call.original)))
    if call.metadata:
        found += call.metadata
    if call.attributes:
        taken = dict(fixed_attributes(call) + found)
        found += [pair for pair in list(call.attributes.items()) if pair[0] not in taken]
    return found


def metric_attributes(kind, method, code, error_type, target):
    """Return the (key, value) pairs of the call's series in rpc.server.call.duration or rpc.client.call.duration. *target*: a client's, else empty."""
    found = [("rpc.system.name", "grpc"), ("rpc.method", method_name(method)), (STATUS_CODE, status.name(code))]
    if error_type and status.is_error(kind, code):
        found.append(("error.type", error_type))
    if target:
        found += server_attributes(status.text(target))
    return found


def server_attributes(target):
    """Return the (key, value) pairs for the channel target *target*."""
    address, port = server_of(target)
    return [("server.address", address), ("server.port", port)] if port else [("server.address", address)]


def attributes_of(call):
    """Return all attributes of *call* as (key, value) pairs."""
    return fixed_attributes(call) + varying_attributes(call)


def server_of(target):
    """Return (address, port or 0) of a channel target: host and port where it has one of each, else the whole target (docs/rpc/grpc.md)."""
    scheme, colon, rest = target.partition(":")
    if colon and scheme in {"unix", "unix-abstract"}:
        return rest[2:] if rest.startswith("//") else rest, 0  # noqa: FURB188 - Python 3.8 has no removeprefix
    if colon and scheme == "dns":
        # dns:host:port, dns:///host:port, dns://authority/host:port
        return _host_port(rest.lstrip("/").rpartition("/")[2] if rest.startswith("//") else rest)
    if colon and scheme in {"ipv4", "ipv6"}:
        return (target, 0) if "," in rest else _host_port(rest.lstrip("/"))
    if "://" in target:
        return target, 0
    return _host_port(target)


def peer_of(peer):
    """Return (address, port or 0) of a peer as grpc names it: ipv4:1.2.3.4:5, ipv6:[::1]:5 or ipv6:%5B::1%5D:5, unix:/path."""
    scheme, colon, rest = peer.partition(":")
    if colon and scheme in {"ipv4", "ipv6"}:
        return _host_port(rest.replace("%5B", "[").replace("%5D", "]").replace("%25", "%"))
    return (rest, 0) if colon and scheme in {"unix", "unix-abstract"} else (peer, 0)


def _host_port(text):
    """Split host:port, [v6]:port, a bare host, or a bare v6 address."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host, int(port) if port.isdecimal() else 0

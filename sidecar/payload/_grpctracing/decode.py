"""What a Collector answers, in protobuf bytes: only as much of the format as its answers need."""


def fields(body):
    """Yield (number, value) of each field in the protobuf message *body*: int for varint and fixed, bytes for the rest. Raises ValueError when malformed."""
    at, end = 0, len(body)
    while at < end:
        tag, at = _read_varint(body, at)
        wire = tag & 7
        if wire == 0:
            value, at = _read_varint(body, at)
        else:
            if wire == 2:  # noqa: PLR2004 - length-delimited
                size, at = _read_varint(body, at)
            elif wire in {1, 5}:
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("wire type %d" % wire)
            value, at = body[at : at + size], at + size
            if at > end:
                raise ValueError("truncated")
            if wire != 2:  # noqa: PLR2004 - fixed
                value = int.from_bytes(value, "little")
        yield tag >> 3, value


def _read_varint(body, at):
    value = shift = 0
    while True:
        if at >= len(body) or shift > 63:  # noqa: PLR2004 - 64 bits
            raise ValueError("truncated")
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - last byte
            return value, at
        shift += 7


def partial_success(body):
    """Return (rejected, message) of an Export*ServiceResponse: partial_success = 1 {rejected_* = 1, error_message = 2}."""
    rejected, message = 0, ""
    for number, value in fields(body):
        if number == 1 and isinstance(value, bytes):
            for inner, content in fields(value):
                if inner == 1 and isinstance(content, int):
                    rejected = content
                elif inner == 2 and isinstance(content, bytes):  # noqa: PLR2004 - error_message
                    message = content.decode("utf-8", "replace")
    return rejected, message

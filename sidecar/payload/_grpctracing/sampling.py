"""The sampler's answer, bit for bit that of opentelemetry-sdk.

Every one of the six samplers of `OTEL_TRACES_SAMPLER` (without the two remote ones) is a pair: *bound*, below which the low 64 bits of a trace id
mean yes, and *parent_based*, whether a parent's flag decides where there is a parent. So a decision is one comparison (specification:
trace/sdk.md#traceidratiobased, trace/sdk.md#parentbased).
"""

LOW_64 = (1 << 64) - 1
ALWAYS = 1 << 64
NEVER = 0

DEFAULT = "parentbased_always_on"
_FIXED = {"always_on": ALWAYS, "always_off": NEVER}
NAMES = tuple(prefix + name for prefix in ("", "parentbased_") for name in ("always_on", "always_off", "traceidratio"))


class Sampler:
    """One sampler. Immutable; replaced as a whole when live settings change it."""

    __slots__ = ("bound", "parent_based")

    def __init__(self, bound, parent_based):
        self.bound = bound
        self.parent_based = parent_based

    def decide(self, trace_id, parent):
        """Return whether a span of *trace_id* below *parent* (SpanContext or None) is sampled."""
        if self.parent_based and parent is not None:
            return parent.flags & 1 == 1
        return trace_id & LOW_64 < self.bound


def ratio_bound(text):
    """Return the bound for the ratio *text*; raise ValueError, with a message for the user, when it is not a number between 0 and 1."""
    try:
        ratio = float(text)
    except (TypeError, ValueError):
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise ValueError('%r is not a ratio between 0 and 1; write e.g. "0.1"' % (text,))
    return round(ratio * ALWAYS)


def parse(name, argument):
    """Return (Sampler, problem): the sampler of *name* with *argument*, and "" or what was wrong, in which case the specification's default stands in.

    An unknown name becomes parentbased_always_on, an unusable argument 1.0, as in opentelemetry-sdk.
    """
    wanted = (name or DEFAULT).strip().lower()
    if wanted not in NAMES:
        return parse(DEFAULT, None)[0], "the sampler %r is not one of %s; using %s" % (name, ", ".join(NAMES), DEFAULT)
    parent_based = wanted.startswith("parentbased_")
    kind = wanted[len("parentbased_") :] if parent_based else wanted
    if kind in _FIXED:
        return Sampler(_FIXED[kind], parent_based), ""
    if argument is None or not str(argument).strip():
        return Sampler(ALWAYS, parent_based), ""
    try:
        return Sampler(ratio_bound(argument), parent_based), ""
    except ValueError as problem:
        return Sampler(ALWAYS, parent_based), "the sampler's argument: %s; using 1.0" % problem

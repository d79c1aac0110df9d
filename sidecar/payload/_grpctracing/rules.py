"""Sampling per method: `rules` of settings.json. Loaded when there are any, so nobody else pays.

The first rule that matches a method decides, in the place of the sampler: where the sampler would ask the ratio, the rule's ratio is asked. So with a
parentbased_* sampler a parent's answer goes before the rule's, and `keep` still exports what fails or is slow. A method that a rule *drops* gets no span of
ours, not from `keep` either, while its calls stay in the metrics: below a parent that parent's context is carried on as it came, and a root
says "not sampled" to all that comes after it. Spans that the application makes by hand follow the sampler.
"""

from . import sampling

_MAX_METHODS = 4096
_UNKNOWN = object()


class Rules:
    """The rules of one state of the settings, with the answers that were found."""

    __slots__ = ("_known", "_rules", "_sampler")

    def __init__(self, rules, sampler):
        """*rules*: (service pattern, method pattern, answer) each, where the answer is a Sampler or None for drop; *sampler*: for what none matches."""
        self._rules = rules
        self._sampler = sampler
        self._known = {}

    def of(self, method):
        """Return the Sampler for *method* ("/pkg.Svc/Method"), or None if it is dropped. One look into a dict."""
        found = self._known.get(method, _UNKNOWN)
        return self._find(method) if found is _UNKNOWN else found

    def _find(self, method):
        service, slash, name = method[1:].rpartition("/")
        found = self._sampler
        if slash and method[0] == "/":  # a manual span's name is no method
            for of_service, of_method, answer in self._rules:
                if _matches(of_service, service) and _matches(of_method, name):
                    found = answer
                    break
        if len(self._known) >= _MAX_METHODS:  # a generic handler may take any name
            self._known.clear()
        self._known[method] = found
        return found


def _matches(pattern, name):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def parse(entries, sampler, pinned):
    """Return the Rules of settings.json's *entries*; raise ValueError with the reason for one that makes no sense.

    *pinned*: the container's own variables name the sampler, so a rule's ratio gives way to it; what is dropped stays dropped.
    """
    return Rules([_rule(entry, sampler, pinned) for entry in entries], sampler)


def _rule(entry, sampler, pinned):
    if not isinstance(entry, dict):
        raise ValueError("rules: %r is not an object" % (entry,))  # noqa: TRY004 - as everything in a malformed file
    answer = sampler
    if ("ratio" in entry) is (entry.get("drop", False) is True) or entry.get("drop", True) is not True:
        raise ValueError("rules: %r does not have either a ratio or drop: true" % (entry,))
    if "drop" in entry:
        answer = None
    elif isinstance(entry["ratio"], bool):
        raise ValueError("rules: the ratio %r is not a number" % entry["ratio"])
    else:
        bound = sampling.ratio_bound(entry["ratio"])
        if not pinned:
            answer = sampling.Sampler(bound, sampler.parent_based)
    return _pattern(entry, "service"), _pattern(entry, "method"), answer


def _pattern(entry, key):
    pattern = entry.get(key, "*")
    if not isinstance(pattern, str) or not pattern or "*" in pattern[:-1]:
        raise ValueError("rules: the %s %r is not a name, the beginning of one with * behind it, or *" % (key, pattern))
    return pattern

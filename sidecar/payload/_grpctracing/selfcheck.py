"""Is this grpcio built as the hooks expect? Checked by names of parameters and attributes. Where a hook does not fit, see public.

Seen to fit: grpcio 1.48 to 1.85. The cost is some 20 µs at `import grpc`.
"""


def _code(function):
    """Return the code of *function*, or of what it says that it wraps; None for what is not a Python function."""
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def parameters(function):
    """Return the names of the positional parameters of *function*, or of what it says that it wraps; () for what is not a Python function."""
    code = _code(function)
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def misfit(module, expected, attributes=None):
    """Return "" if *module* has all that is *expected*, else what is missing.

    *expected*: {"function" or "Class.method": names that its parameters must start with, or None where existing is enough}.
    *attributes*: {"Class": names of attributes that its own constructor must set}.
    """
    for path, names in expected.items():
        found = module
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is None:
            return "%s.%s is missing" % (module.__name__, path)
        if names is not None and parameters(found)[: len(names)] != tuple(names):
            return "%s.%s has other parameters: %s" % (module.__name__, path, ", ".join(parameters(found)) or "unknown")
    for kind, names in (attributes or {}).items():
        code = _code(getattr(getattr(module, kind, None), "__init__", None))
        for name in names:
            if code is None or name not in code.co_names:
                return "%s.%s has no attribute %s" % (module.__name__, kind, name)
    return ""

"""What is in this image? Run by the operator's preflight pod, never by an application: `python _grpctracing.probe.py`.

It answers in the pod's termination message: one JSON object of less than 4096 bytes. It parses on Python 2.7, since an old
interpreter is an answer too, and looks for packages by their files: nothing of the application is imported.
"""

import glob
import json
import os
import platform
import re
import sys

VERSION = 1
"""Of what is reported; `grpctracing.injection.findings` reads it."""
ANSWER = "/dev/termination-log"
LONGEST = 4000
"""Bytes: the kubelet keeps 4096 of a container's message."""
PACKAGE = re.compile(
    r"(grpcio|ddtrace|newrelic|opentelemetry[_-]instrumentation[_-]grpc)-([^-]+)(-py.*)?\.(dist-info|egg-info|egg)$"
)
# Where virtual environments and vendored packages usually are, when the interpreter on PATH does not see them.
PLACES = ("/app", "/code", "/home/*", "/opt", "/root", "/src", "/srv", "/usr/local", "/usr/src", "/venv", "/workspace")
BELOW = ("", "*", ".venv", ".local", "*/.venv", "*/envs/*", "*/*")
INSIDE = ("lib*/python*/site-packages", "lib*/python*/dist-packages", "")
METADATA = os.path.join("grpc", "_grpcio_metadata.py")


def report():
    """Return what is seen as a dict of JSON values."""
    own = os.path.dirname(os.path.abspath(__file__))  # first on the path, unless PYTHONSAFEPATH says otherwise
    path = sys.path[1:] if sys.path and os.path.abspath(sys.path[0]) == own else sys.path
    folders = [entry or os.curdir for entry in path] + [os.curdir]
    found = packages(folders)
    answer = {
        "version": VERSION,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "implementation": platform.python_implementation(),
        "grpcio": found.pop("grpcio", None) or vendored(folders),
        "elsewhere": None,
        "agents": found,
        "pythonpath": os.environ.get("PYTHONPATH", ""),
        "variables": sorted(name for name in os.environ if name.startswith("OTEL_")),
        "libc": "musl" if glob.glob("/lib/ld-musl-*") else "glibc",
        "arch": platform.machine(),
        "uid": os.getuid(),
    }
    if answer["grpcio"] is None:
        answer["elsewhere"] = elsewhere()
    return answer


def packages(folders):
    """Return the versions by package for those of interest that are installed in *folders*; the first on the path counts."""
    found = {}
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:  # a zip file, or nothing
            continue
        for name in names:
            match = PACKAGE.match(name)
            if match:
                found.setdefault(match.group(1).replace("_", "-"), match.group(2))
    return found


def vendored(folders):
    """Return the version of a grpc that was copied without its metadata, or None."""
    for folder in folders:
        try:
            with open(os.path.join(folder, METADATA)) as file:
                match = re.search(r"[0-9]+\.[0-9][0-9a-z.]*", file.read())
        except (IOError, OSError, ValueError):
            continue
        return match.group() if match else "unknown"
    return None


def elsewhere():
    """Return where else in the image a grpc lies, or None: another interpreter than this one may run the application."""
    for place in PLACES:
        for below in BELOW:
            for inside in INSIDE:
                for path in glob.iglob(os.path.join(place, below, inside, METADATA)):
                    return path
    return None


def main(path):
    """Write the report to *path*; where that can't be written, to stdout, which the kubelet takes when the exit code is not 0."""
    text = json.dumps(report())
    if len(text) > LONGEST:
        sys.exit("PYTHONPATH and the names of OTEL_ variables are longer than a report may be")
    try:
        with open(path, "w") as file:
            file.write(text)
    except (IOError, OSError):
        sys.exit(text)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ANSWER)

"""`python -m benchmarks.bootstrap.where [SIDE]`: where the bootstrap's own microseconds and milliseconds go. SIDE: "sync client", "aio server", …: its profile."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .environments import build
from .processes import MEASURED, Sink

if TYPE_CHECKING:
    from .environments import Stage

_ROOMY = {"OTEL_BSP_MAX_QUEUE_SIZE": "100000000"}  # a loop of hooks is faster than any export
_LOADED = "import grpc, sys, json; print(json.dumps([name for name in sys.modules if name.startswith('_grpctracing')]))"


def hot(stage: Stage, *side: str) -> None:
    """Run the hooks in a loop, without and with the payload."""
    with Sink(stage.python, stage.environ("plain", "")) as sink:
        for variant in ("plain", "ours on", "ours off"):
            print(f"== {variant}", flush=True)
            environ = stage.environ(variant, sink.endpoint) | _ROOMY
            subprocess.run([stage.python, MEASURED / "hotloop.py", *side], check=True, env=environ)


def compiled(stage: Stage) -> None:
    """Tell what compiling costs at start."""
    environ = stage.environ("ours on", "http://127.0.0.1:1")
    said = subprocess.run([stage.python, "-c", _LOADED], check=True, env=environ, capture_output=True, text=True).stdout
    names = [name if "." in name else f"{name}.__init__" for name in json.loads(said)]
    folder = stage.variants["ours on"].path
    subprocess.run([stage.python, MEASURED / "compiling.py", folder, "sitecustomize", *names], check=True)


def main() -> None:
    """Print both, or one side's profile."""
    with tempfile.TemporaryDirectory() as folder:
        stage = build(Path(folder))
        hot(stage, *sys.argv[1:])
        if not sys.argv[1:]:
            compiled(stage)


if __name__ == "__main__":
    main()

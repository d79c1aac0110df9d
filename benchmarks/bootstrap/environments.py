"""What is compared: one virtual environment for all, and for each variant the variables that switch an instrumentation on in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bootstrap.interpreters import environment
from tests.bootstrap.process import PAYLOAD

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = (
    "grpcio==1.85.1",
    "opentelemetry-distro==0.66b2",
    "opentelemetry-instrumentation-grpc==0.66b2",
    "opentelemetry-exporter-otlp==1.45.2",
)
DRAWING = ("matplotlib==3.11.2",)
_NOT_OURS = ("OTEL_", "GRPCTRACING_", "PYTHON", "GRPC_")
ON = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
_RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
OFF = {"OTEL_TRACES_SAMPLER": "always_off"}
TRACES_ONLY = {"OTEL_METRICS_EXPORTER": "none"}


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the same application. *path*: what its PYTHONPATH holds; *spans*: how many of ten calls it exports, None: by chance."""

    name: str
    path: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    spans: int | None = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """The interpreter that all variants share, and the variants by name."""

    python: str
    variants: dict[str, Variant]
    versions: str

    def environ(self, variant: str, endpoint: str) -> dict[str, str]:
        """Return the environment of a process of *variant* that exports to *endpoint*."""
        about = self.variants[variant]
        found = {key: text for key, text in os.environ.items() if not key.startswith(_NOT_OURS)}
        found |= {"GRPC_VERBOSITY": "NONE", "PYTHONDONTWRITEBYTECODE": "1"}
        if about.path:
            found |= {
                "PYTHONPATH": about.path,
                "OTEL_SERVICE_NAME": "bench",
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_METRICS_EXPORTER": "otlp",
                "OTEL_LOGS_EXPORTER": "none",
            }
        return found | about.variables


def lay_out(folder: Path) -> str:
    """Put the payload into *folder* as a ConfigMap is mounted: flat, sources only. Return what PYTHONPATH gets."""
    for source in (PAYLOAD / "sitecustomize.py", *(PAYLOAD / "_grpctracing").glob("*.py")):
        flat = source.name if source.parent == PAYLOAD else f"_grpctracing.{source.name}"
        (folder / flat).write_bytes(source.read_bytes())
    return str(folder)


def build(folder: Path) -> Stage:
    """Return the stage, with the payload laid out in *folder*."""
    python = environment(sys.executable, *REQUIREMENTS)
    ours = lay_out(folder)
    # what opentelemetry-instrument and the OpenTelemetry operator put on PYTHONPATH
    where = "import opentelemetry.instrumentation.auto_instrumentation as found; print(found.__path__[0])"
    contrib = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    versions = subprocess.run(
        [python, "-c", "import sys; print(sys.version.split()[0])"], check=True, capture_output=True, text=True
    ).stdout.strip()
    variants = (
        Variant("plain"),
        Variant("A/A"),
        # what the wire alone costs: a floor for whoever propagates a context
        Variant("header", variables={"BENCH_TRACEPARENT": "by hand"}),
        # contrib counts nothing per call, so metrics would only cost it memory
        Variant("contrib on", contrib, ON | TRACES_ONLY, 10),
        Variant("contrib 0.1", contrib, _RATIO | TRACES_ONLY, None),
        Variant("contrib off", contrib, OFF | TRACES_ONLY),
        Variant("ours on", ours, ON, 10),
        Variant("ours 0.1", ours, _RATIO, None),
        Variant("ours off", ours, OFF),
        Variant("ours on, no metrics", ours, ON | TRACES_ONLY, 10),
    )
    return Stage(
        python,
        {variant.name: variant for variant in variants},
        f"Python {versions}, {', '.join(REQUIREMENTS).replace('==', ' ')}",
    )

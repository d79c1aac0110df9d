"""The core is tested in this process where it can be; `_grpctracing` is found as in a checkout, and sys.path is as before afterwards."""

import logging
import sys
from pathlib import Path

import pytest

PAYLOAD = Path(__file__).parents[3] / "sidecar" / "payload"

sys.path.insert(0, str(PAYLOAD))
import _grpctracing  # noqa: E402 - found in the line above

sys.path.remove(str(PAYLOAD))
_grpctracing.here = str(PAYLOAD)  # what is loaded when it is needed is found there

logging.getLogger("opentelemetry").setLevel(
    logging.CRITICAL
)  # the oracle says at length what is wrong with thousands of malformed headers


@pytest.fixture
def make_pipeline():
    """Make pipelines that are not registered with this process (no atexit, no SIGTERM, no fork hook) and are shut down after the test."""
    from _grpctracing.pipeline import Pipeline

    made = []

    def make(environ=(), payload_dir=None):
        quick = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_METRICS_EXPORTER": "none"}
        made.append(Pipeline({**quick, **dict(environ)}, payload_dir))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.shutdown(1.0)


@pytest.fixture(autouse=True)
def _fresh_warnings():
    """Each test hears each warning, although a process hears it once."""
    from _grpctracing import log

    log._said.clear()
    log._level = 0


assert _grpctracing.__file__.startswith(str(PAYLOAD))

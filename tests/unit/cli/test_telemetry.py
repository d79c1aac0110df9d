"""Logs, metrics and health, as those who operate the operator see them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import aiohttp
import pytest
from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

from grpctracing import telemetry
from grpctracing.settings import PREFIX, Settings

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")


def record(message="injected", exc_info=None, **extra):
    made = logging.getLogger("test").makeRecord("test", logging.INFO, "f.py", 1, message, (), exc_info, extra=extra)
    return json.loads(telemetry.JsonFormatter().format(made))


def test_a_log_line_is_the_event_and_its_fields():
    line = record(workload="production/payment-service", containers=["app"])
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "test",
        "event": "injected",
        "workload": "production/payment-service",
        "containers": ["app"],
    }


def test_an_exception_is_in_its_line():
    error = ValueError("broken")
    assert "ValueError: broken" in record(exc_info=(type(error), error, None))["exception"]


def test_what_json_cannot_say_is_told_by_its_text():
    assert record(error=ValueError("broken"))["error"] == "broken"


async def get(runner, path):
    port = next(address[1] for address in runner.addresses if address[0] == "0.0.0.0")  # IPv6 has one of its own
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


@pytest.fixture
async def served():
    state = {"alive": None, "ready": "waiting for deployments"}
    runner = await telemetry.serve(0, alive=lambda: state["alive"], ready=lambda: state["ready"])
    yield runner, state
    await runner.cleanup()


async def test_health_says_what_is_wrong(served):
    runner, state = served
    assert await get(runner, "/livez") == (200, "ok")
    assert await get(runner, "/readyz") == (503, "waiting for deployments")
    state["ready"] = None
    assert await get(runner, "/readyz") == (200, "ok")


async def test_metrics_are_prometheus(served):
    telemetry.WRITES.labels("inject").inc()
    status, text = await get(served[0], "/metrics")
    assert status == 200
    assert 'grpctracing_deployment_writes_total{action="inject"}' in text


def test_no_endpoint_no_exporter():
    before = trace.get_tracer_provider()
    telemetry.configure_tracing({})()
    assert trace.get_tracer_provider() is before
    with telemetry.span("reconcile", key="a/b"):
        assert not trace.get_current_span().is_recording()


def test_each_metric_is_documented_with_its_labels():
    metrics = [each for each in vars(telemetry).values() if isinstance(each, (Counter, Gauge, Histogram))]
    assert len(metrics) == 10
    for metric in metrics:
        name = f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        assert f"| `{name}` | {labels + ' ' if labels else ''}|" in OPERATIONS


@pytest.mark.parametrize("name", ["requests_per_second", "workers", "proof_seconds", "proof_url"])
def test_a_variable_that_the_chart_has_no_value_for_is_documented_with_its_default(name):
    default = getattr(Settings(), name)
    text = f"{default:g}" if isinstance(default, float) else default
    assert f"| `{PREFIX}{name.upper()}` | `{text}` |" in OPERATIONS

"""The sample services as processes on this machine: no cluster, no tracing."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from examples.demo.scenario import ROOT


@contextmanager
def service(module, **environment):
    """Start a sample server on a free port; give the port; end it with SIGTERM, which must be a clean exit."""
    command = [sys.executable, "-u", "-m", module]
    with subprocess.Popen(
        command,
        cwd=ROOT / "examples",
        env={**os.environ, "PYTHONPATH": "", "PORT": "0", **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield int(process.stdout.readline().rsplit(maxsplit=1)[1])
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def targets():
    with (
        service("payment.server") as payment,
        service("order.server", PAYMENT_SERVICES=f"localhost:{payment}") as order,
    ):
        yield [f"--payment=localhost:{payment}", f"--order=localhost:{order}"]


def load(targets, *arguments):
    command = [sys.executable, "-m", "load.client", *targets, *arguments]
    done = subprocess.run(
        command, cwd=ROOT / "examples", env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)["calls"]


@pytest.mark.parametrize("mode", ["sync", "aio"])
def test_the_client_makes_ok_slow_failing_and_streaming_calls_in_the_numbers_asked_for(targets, mode):
    assert load(targets, f"--mode={mode}", "--ok=3", "--slow=1", "--failing=2", "--streaming=1", "--orders=1") == {
        "payment.ProcessPayment": {"OK": 3},
        "payment.ProcessPayment:slow-1200": {"OK": 1},
        "payment.ProcessPayment:fail-UNAVAILABLE": {"UNAVAILABLE": 2},
        "order.PlaceOrder": {"OK": 1},
        **{f"payment.{method}": {"OK": 1} for method in ("ProcessBatch", "ListPayments", "ProcessStream")},
        **{f"order.{method}": {"OK": 1} for method in ("FillBasket", "StreamOrderUpdates", "TrackOrders")},
    }


def test_order_ends_with_the_status_that_payment_gave(targets):
    assert load(targets, "--call=order.PlaceOrder:fail-UNAVAILABLE") == {
        "order.PlaceOrder:fail-UNAVAILABLE": {"UNAVAILABLE": 1}
    }


def test_a_method_that_does_not_exist_is_refused_with_those_that_do(targets):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        load(targets, "--call=payment.Refund")
    assert "payment.ProcessPayment, payment.ProcessBatch" in refused.value.stderr

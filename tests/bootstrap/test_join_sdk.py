"""The application has an OpenTelemetry SDK of its own: calls go through its provider, and ours is silent, metrics and `keep` included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.joining import Outcomes, Run
from tests.bootstrap.process import run as run_here
from tests.bootstrap.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = {
    "before": Run("own_sdk", "before"),
    "before, 1.25": Run("own_sdk", "before", "middle"),
    "before, 1.12": Run("own_sdk", "before", "oldest"),
    "after": Run("own_sdk", "after"),
    "after, 1.12": Run("own_sdk", "after", "oldest"),
    "during": Run("own_sdk", "during"),
    "unsampled": Run("own_sdk", "unsampled"),
}
WHOLE = [name for name in RUNS if name.startswith(("before", "after"))]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Outcomes]:
    with Receiver() as receiver:
        yield Outcomes(receiver, RUNS)


def chain(service: str) -> list[str]:
    """Return the spans of one call of Pay, each the parent of the next."""
    return [
        f"CLIENT {service}/Pay",
        f"SERVER {service}/Pay",
        "INTERNAL inside",
        f"CLIENT {service}/Stock",
        f"SERVER {service}/Stock",
    ]


def is_one_trace(spans: list, service: str) -> None:
    """Assert that there is one span for each link of the chain, from its root on."""
    parent, traces = "", set()
    for link in chain(service):
        ((_, span_id, _, trace, attributes),) = [span for span in spans if span[0] == link and span[2] == parent]
        if "inside" not in link:
            assert attributes["rpc.response.status_code"] == "OK"
            assert attributes["rpc.method"] == link.partition(" ")[2]
        parent = span_id
        traces.add(trace)
    assert len(traces) == 1


@pytest.mark.parametrize("name", WHOLE)
def test_its_exporter_gets_the_whole_trace_and_each_span_once(outcomes: Outcomes, name: str) -> None:
    spans = outcomes.told(name)["spans"]
    assert sorted(span[0] for span in spans) == sorted(chain("test.Shop") + chain("test.Aio"))
    is_one_trace([span for span in spans if span[3] == spans[0][3]], "test.Shop")
    is_one_trace([span for span in spans if span[3] != spans[0][3]], "test.Aio")


@pytest.mark.parametrize("name", [*WHOLE, "unsampled"])
def test_our_exporter_is_silent(outcomes: Outcomes, name: str) -> None:
    assert outcomes.said(name) == []
    assert outcomes.names(name) == []
    assert not outcomes.measured(name)


@pytest.mark.parametrize("name", WHOLE)
def test_the_current_span_of_a_handler_is_its_server_span(outcomes: Outcomes, name: str) -> None:
    marked = [span[0] for span in outcomes.told(name)["spans"] if "app.key" in span[4]]
    assert marked == ["SERVER test.Shop/Pay"]


def test_what_has_begun_before_goes_our_way_and_the_trace_stays_one(outcomes: Outcomes) -> None:
    assert outcomes.names("during") == ["CLIENT test.Shop/Pay", "SERVER test.Shop/Pay"]
    spans = outcomes.told("during")["spans"]
    assert sorted(span[0] for span in spans) == sorted(chain("test.Shop")[2:] + chain("test.Shop") + chain("test.Aio"))
    (served,) = [span for span in outcomes.spans("during") if span.kind == "SERVER"]
    (inside,) = [span for span in spans if span[0] == "INTERNAL inside" and span[2] == served.id]
    assert inside[3] == served.trace
    assert served.attributes["app.key"] == "value"


def test_its_sampler_decides_and_keep_adds_nothing(outcomes: Outcomes) -> None:
    """The failed call is kept nowhere, and its trace context says: not sampled."""
    told = outcomes.told("unsampled")
    assert told["spans"] == []
    assert 'details = "sampled: 0"' in told["seen"][1]


def test_an_application_that_sets_an_sdk_is_not_warned_about_overriding() -> None:
    code = "import grpc\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\ntrace.get_tracer('x').start_span('y').end()\ntrace.set_tracer_provider(TracerProvider())\nprint(type(trace.get_tracer_provider()).__module__)"
    ended = run_here(code, flags=("-W", "error"))
    assert (ended.out, ended.err) == ("opentelemetry.sdk.trace\n", "")

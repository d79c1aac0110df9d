"""opentelemetry-api alone, oldest to newest: the application's manual spans are children of ours and exported with them; nothing of it can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.joining import Outcomes, Run
from tests.bootstrap.receiver import Receiver, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

GENERATIONS = ["newest", "middle", "oldest"]
RUNS = {name: Run("manual", generation=name) for name in GENERATIONS}
RUNS["without us"] = Run("manual", payload=False)
RUNS["unsampled"] = Run("manual", env=(("OTEL_TRACES_SAMPLER", "always_off"),))


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Outcomes]:
    with Receiver() as receiver:
        yield Outcomes(receiver, RUNS)


class Told:
    """The spans of one run, by what a test asks for."""

    def __init__(self, outcomes: Outcomes, name: str):
        self.app = outcomes.told(name)
        self.spans = outcomes.spans(name)

    def all(self, kind: str, name: str, below: Span | None = None) -> list[Span]:
        """Return the spans of *kind* and *name*, those *below* that one if given."""
        found = [span for span in self.spans if (span.kind, span.name) == (kind, name)]
        return [span for span in found if below is None or (span.parent, span.trace) == (below.id, below.trace)]

    def one(self, kind: str, name: str, below: Span | None = None) -> Span:
        """Return the only one."""
        (found,) = self.all(kind, name, below)
        return found


@pytest.fixture(params=GENERATIONS)
def told(outcomes: Outcomes, request: pytest.FixtureRequest) -> Told:
    return Told(outcomes, request.param)


@pytest.mark.parametrize("name", [*GENERATIONS, "unsampled"])
def test_nobody_has_anything_to_complain_about(outcomes: Outcomes, name: str) -> None:
    """Neither we nor the API (which logs a context that can't be detached), and what the application sees of its calls is the same."""
    assert outcomes.said(name, "opentelemetry") == []
    ours, plain = outcomes.told(name), outcomes.told("without us")
    assert [ours[key] for key in ("stream", "Aio", "Plain", "status_ok", "unspeakable")] == [
        plain[key] for key in ("stream", "Aio", "Plain", "status_ok", "unspeakable")
    ]


def test_the_current_span_of_a_handler_is_our_server_span(told: Told) -> None:
    assert told.app["recording"] is True
    server = told.one("SERVER", "Pay/renamed")
    assert server.id == told.app["server"]
    assert server.parent == told.one("CLIENT", "test.Shop/server_span").id
    assert server.attributes["app.key"] == "value"
    assert server.attributes["app.many"] == 2
    assert server.attributes["rpc.method"] == "test.Shop/server_span"  # what we say ourselves stays said
    assert [name for name, _ in server.events] == ["cache miss", "exception"]
    assert server.events[0] == ("cache miss", {"n": 1})
    assert server.events[1][1]["exception.type"] == "ValueError"
    assert (server.status, server.message) == ("ERROR", "declined")
    assert server.code == "OK"


def test_a_link_added_to_our_server_span_arrives(told: Told) -> None:
    assert told.one("SERVER", "Pay/renamed").links == [(f"{1:032x}", f"{2:016x}")]


def test_after_the_end_the_server_span_takes_nothing(told: Told) -> None:
    assert told.app["recording after"] is False
    assert "late" not in told.one("SERVER", "Pay/renamed").attributes


def test_ok_as_the_application_says_is_final(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/status_ok")
    assert (server.status, server.code) == ("OK", "INTERNAL")


def test_attributes_links_kinds_status_and_scope_of_manual_spans_arrive(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/spans")
    span = told.one("INTERNAL", "attributes", below=server)
    assert span.attributes == {"tags": ["a", "b"], "n": 3, "ok": True}
    assert (span.status, span.message) == ("OK", "")
    assert span.scope == "shop"
    linked = told.one("PRODUCER", "linked", below=span)
    assert linked.links == [(span.trace, span.id)]
    told.one("INTERNAL", "new name", below=server)
    told.one("INTERNAL", "closed elsewhere", below=server)
    told.one("INTERNAL", "with itself", below=server)


def test_an_exception_that_leaves_a_span_is_recorded_unless_not_wanted(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/spans")
    failed = told.one("INTERNAL", "fails", below=server)
    assert (failed.status, failed.message) == ("ERROR", "KeyError: 'gone'")
    ((name, attributes),) = failed.events
    assert (name, attributes["exception.type"], attributes["exception.message"]) == ("exception", "KeyError", "'gone'")
    assert "in spans" in attributes["exception.stacktrace"]
    silent = told.one("INTERNAL", "fails silently", below=server)
    assert (silent.status, silent.events) == ("UNSET", [])


def test_a_decorated_function_has_a_span_for_each_call(told: Told) -> None:
    both = told.all("INTERNAL", "decorated", below=told.one("SERVER", "test.Shop/spans"))
    assert [[name for name, _ in span.events] for span in both] == [["in here"], ["in here"]]
    assert both[0].id != both[1].id


def test_a_span_that_is_started_only_is_not_current_and_ends_once(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/spans")
    free = told.one("INTERNAL", "not current", below=server)
    assert told.app["not current"] is False
    assert (free.start, free.end, free.attributes) == (1_000, 2_000, {})
    told.one("INTERNAL", "below what is used", below=free)


def test_an_empty_context_begins_a_new_trace(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/spans")
    roots = [span for span in told.all("INTERNAL", "root") if span.trace != server.trace]
    assert len(roots) == 2  # the handler is there twice, sync and under asyncio
    assert {span.parent for span in roots} == {""}


def test_mistakes_of_the_application_cost_it_nothing(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/mistakes")
    assert told.one("INTERNAL", "mistaken", below=server).attributes == {}
    assert told.app["unspeakable"] is True
    told.one("INTERNAL", "raises the unspeakable", below=server)


def test_threads_have_the_context_that_they_are_given(told: Told) -> None:
    server = told.one("SERVER", "test.Shop/threads")
    told.one("INTERNAL", "in a thread with the context", below=server)
    assert told.one("INTERNAL", "in a bare thread").parent == ""


def test_calls_and_manual_spans_nest_in_any_order(told: Told) -> None:
    above = told.one("INTERNAL", "above")
    assert above.parent == ""
    told.one("SERVER", "test.Shop/carry", below=told.one("CLIENT", "test.Shop/carry", below=above))
    around = told.one("INTERNAL", "around a call", below=told.one("SERVER", "test.Shop/threads"))
    told.one("SERVER", "test.Shop/Baggage", below=told.one("CLIENT", "test.Shop/Baggage", below=around))


@pytest.mark.parametrize("service", ["Shop", "Aio", "Plain"])
def test_steps_of_a_stream_nest(told: Told, service: str) -> None:
    """Shop: sync server. Aio: an async generator. Plain: a plain generator under the asyncio server."""
    server = told.one("SERVER", f"test.{service}/Generator")
    whole = told.one("INTERNAL", "whole stream", below=server)
    assert [step.attributes for step in told.all("INTERNAL", "step", below=whole)] == [{"number": 0}, {"number": 1}]
    assert server.events == [("end of the stream", {})]


def test_tasks_of_an_asyncio_handler_are_below_it(told: Told) -> None:
    server = told.one("SERVER", "test.Aio/Unary")
    told.one("INTERNAL", "left", below=server)
    told.one("INTERNAL", "right", below=server)


def test_a_plain_handler_of_an_asyncio_server_has_its_spans(told: Told) -> None:
    server = told.one("SERVER", "test.Plain/Unary")
    told.one("INTERNAL", "fails", below=server)
    assert len(told.all("INTERNAL", "decorated", below=server)) == 2


@pytest.mark.parametrize("service", ["Shop", "Aio"])
def test_a_stream_that_is_given_up_ends_its_spans(told: Told, service: str) -> None:
    server = told.one("SERVER", f"test.{service}/Endless")
    told.one("INTERNAL", "endless", below=server)


def test_baggage_goes_on_as_it_came_until_the_application_changes_it(told: Told) -> None:
    assert told.app["came"] == {"user": "a b;secret"}
    untouched, changed, cleared = told.app["baggage"]
    assert untouched == "user=a%20b;secret,broken"
    assert changed == "user=a+b%3Bsecret,own=x"
    assert cleared == ""


def test_baggage_without_a_span_is_carried(told: Told) -> None:
    assert told.app["root baggage"] == "from=root"


def test_unsampled_spans_are_not_recording_and_not_told(outcomes: Outcomes) -> None:
    told = Told(outcomes, "unsampled")
    assert [span.name for span in told.spans if span.status != "ERROR"] == []
    assert told.app["recording"] is False
    assert int(told.app["server"], 16)  # there is a context, and it travels
    assert told.app["root baggage"] == "from=root"

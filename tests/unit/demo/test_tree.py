from examples.demo import tree
from examples.demo.jaeger import traces_of
from tests.unit.demo.builders import jaeger_answer, jaeger_span

ORDER = traces_of(
    jaeger_answer(
        jaeger_span("1", process="load", name="order.OrderService/PlaceOrder", lasts=10_000, span__kind="client", rpc__response__status_code="OK"),
        jaeger_span("2", "1", process="order", name="order.OrderService/PlaceOrder", at=1000, lasts=8000, span__kind="server", rpc__response__status_code="OK",
                    grpctracing__messages__sent=1, grpctracing__bytes__sent=90, grpctracing__messages__received=1, grpctracing__bytes__received=24),
        jaeger_span("4", "2", process="go", at=5000, lasts=1000, span__kind="server", rpc__response__status_code="UNAVAILABLE", otel__status_code="ERROR"),
        jaeger_span("3", "2", process="python", at=2000, lasts=1000, span__kind="server", rpc__response__status_code="OK"),
        jaeger_span("5", "3", process="python", name="validate_payment", at=2100, lasts=50),
        load="load-client", order="order-service", python="payment-service", go="payment-go",
    )
)[0]  # fmt: skip


def lines(trace=ORDER, **options):
    return tree.render(trace, **{"width": 150, **options}).splitlines()


def test_the_heading_tells_id_spans_services_and_duration():
    assert lines()[0] == "trace t1: 5 spans of 4 services in 10.0 ms"


def test_children_hang_below_their_parent_in_order_of_start():
    assert [(branch, span.span_id) for branch, span in tree.walk(ORDER)] == [
        ("", "1"),
        ("└─ ", "2"),
        ("   ├─ ", "3"),
        ("   │  └─ ", "5"),
        ("   └─ ", "4"),
    ]


def test_a_call_tells_kind_status_duration_messages_and_bytes():
    row = lines()[2]
    assert "server" in row
    assert "OK" in row
    assert "8.0 ms" in row
    assert row.endswith("→ 1 msg 90 B  ← 1 msg 24 B")


def test_the_waterfall_shows_when_in_the_trace_a_span_ran():
    assert "█" * tree.BAR in lines()[1]
    assert "·" * 12 + "██" + "·" * 10 in lines()[5]


def test_a_failed_call_is_red_where_there_is_colour_and_plain_where_not():
    assert "\033[31" in "\n".join(lines(colour=True))
    assert "\033" not in "\n".join(lines())


def test_a_span_whose_parent_is_missing_is_shown_as_a_root():
    orphans = [span for span in ORDER if span.span_id in {"3", "5"}]
    assert [branch for branch, _ in tree.walk(orphans)] == ["", "└─ "]


def test_long_names_are_shortened_to_the_terminal():
    narrow = lines(width=90)
    assert "…" in narrow[3]
    assert max(len(line) for line in narrow) < len(max(lines(), key=len))

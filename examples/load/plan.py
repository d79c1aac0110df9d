"""What the load client calls: a plan is a list of steps, the same for its two modes.

On the command line a step is `service.Method[:who][*times]`, e.g. `payment.ProcessPayment:fail-NOT_FOUND*3`; *who* is the
customer or the order, and payment.proto tells which of them are difficult.
"""

import re
from dataclasses import dataclass

from proto import order_pb2, payment_pb2

PRESETS = {
    "ok": ("payment.ProcessPayment",),
    "slow": ("payment.ProcessPayment:slow-1200",),
    "failing": ("payment.ProcessPayment:fail-UNAVAILABLE",),
    "orders": ("order.PlaceOrder",),
    "streaming": (
        "payment.ProcessBatch",
        "payment.ListPayments",
        "payment.ProcessStream",
        "order.FillBasket",
        "order.StreamOrderUpdates",
        "order.TrackOrders",
    ),
}

_PAYMENT = payment_pb2.PaymentRequest(amount=42.0, currency="EUR")
# method: (does the client stream?, does the server?, request, the field that says who)
_METHODS = {
    "payment.ProcessPayment": (False, False, _PAYMENT, "customer_id"),
    "payment.ProcessBatch": (True, False, _PAYMENT, "customer_id"),
    "payment.ListPayments": (False, True, payment_pb2.ListPaymentsRequest(), "customer_id"),
    "payment.ProcessStream": (True, True, _PAYMENT, "customer_id"),
    "order.PlaceOrder": (False, False, order_pb2.Order(order_id="order-1", amount=42.0, currency="EUR"), "customer_id"),
    "order.StreamOrderUpdates": (False, True, order_pb2.OrderRequest(), "order_id"),
    "order.FillBasket": (True, False, order_pb2.Item(quantity=1), "name"),
    "order.TrackOrders": (True, True, order_pb2.OrderRequest(), "order_id"),
}
_SPEC = re.compile(r"(?P<method>[a-z]+\.[A-Za-z]+)(:(?P<who>[^*]+))?(\*(?P<times>\d+))?")


@dataclass(frozen=True)
class Step:
    """One method to be called *times* times; *requests* has one element unless the client streams."""

    label: str
    service: str
    method: str
    client_streams: bool
    server_streams: bool
    requests: tuple
    times: int


def step(spec, times=1, messages=5):
    """Return the step of *spec*; raise ValueError where it is none. A stream has *messages* messages."""
    found = _SPEC.fullmatch(spec)
    if not found or found["method"] not in _METHODS:
        raise ValueError(f"{spec!r} is not service.Method[:who][*times] with one of {', '.join(_METHODS)}")
    client_streams, server_streams, template, field = _METHODS[found["method"]]
    request = type(template)()
    request.CopyFrom(template)
    setattr(request, field, found["who"] or "customer-1")
    if found["method"] == "payment.ListPayments":
        request.limit = messages
    service, _, method = found["method"].partition(".")
    return Step(
        label=spec.partition("*")[0],
        service=service,
        method=method,
        client_streams=client_streams,
        server_streams=server_streams,
        requests=(request,) * (messages if client_streams else 1),
        times=int(found["times"] or times),
    )

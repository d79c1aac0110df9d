"""order-service: an asyncio gRPC server that has its orders paid by payment-service, and by a second one if configured.

Its manual spans go through opentelemetry-api alone. Start it with `python -m order.server` from the folder above.
"""

import asyncio
import os
import signal

import grpc
from opentelemetry import trace

from order.behaviour import serve_the_difficult
from proto import order_pb2, order_pb2_grpc, payment_pb2, payment_pb2_grpc

UPDATES = ("RECEIVED", "CONFIRMED", "PAID", "PICKED", "PACKED", "LABELLED", "SHIPPED", "MOVING", "ARRIVED", "DELIVERED")
UPDATE_INTERVAL = 0.1  # seconds

tracer = trace.get_tracer("order")


class OrderService(order_pb2_grpc.OrderServiceServicer):
    def __init__(self, payments):
        self.payments = payments  # stubs of PaymentService: every one of them is asked for its part of an order

    async def PlaceOrder(self, request, context):
        customer = request.customer_id or "customer-1"
        transactions = await self._pay(context, request.amount, request.currency, customer)
        return order_pb2.Receipt(order_id=request.order_id, transaction_ids=transactions)

    async def StreamOrderUpdates(self, request, context):
        with tracer.start_as_current_span("stream_order_updates") as span:
            span.set_attribute("order.id", request.order_id)
            await serve_the_difficult(request.order_id, context)
            await self._pay(context, 42.0, "EUR", "customer-1")
            for sequence, status in enumerate(UPDATES):
                with tracer.start_as_current_span("send_update") as update:
                    update.set_attribute("order.status", status)
                    await context.write(
                        order_pb2.OrderUpdate(order_id=request.order_id, sequence=sequence, status=status)
                    )
                await asyncio.sleep(UPDATE_INTERVAL)

    async def FillBasket(self, request_iterator, context):
        items = 0
        async for item in request_iterator:
            await serve_the_difficult(item.name, context)
            items += item.quantity
        return order_pb2.Basket(items=items)

    async def TrackOrders(self, request_iterator, context):
        async for request in request_iterator:
            await serve_the_difficult(request.order_id, context)
            yield order_pb2.OrderUpdate(order_id=request.order_id, sequence=0, status="PAID")

    async def _pay(self, context, amount, currency, customer_id):
        payment = payment_pb2.PaymentRequest(amount=amount, currency=currency, customer_id=customer_id)
        try:
            answers = await asyncio.gather(*(stub.ProcessPayment(payment) for stub in self.payments))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), f"payment failed: {error.details()}")
        return [answer.transaction_id for answer in answers]


async def main():
    targets = os.environ.get("PAYMENT_SERVICES", "payment-service:50051").split(",")
    channels = [grpc.aio.insecure_channel(target) for target in targets]
    server = grpc.aio.server()
    order_pb2_grpc.add_OrderServiceServicer_to_server(
        OrderService([payment_pb2_grpc.PaymentServiceStub(channel) for channel in channels]), server
    )
    port = server.add_insecure_port(f"[::]:{os.environ.get('PORT', '50052')}")
    await server.start()
    print(f"order-service pays at {', '.join(targets)}, listens on port {port}", flush=True)
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    await terminated.wait()
    await server.stop(grace=5)
    for channel in channels:
        await channel.close()


if __name__ == "__main__":
    asyncio.run(main())

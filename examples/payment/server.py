"""payment-service: a synchronous gRPC server, written as an application team writes it.

Its one word about tracing is a manual span through opentelemetry-api; without an SDK that is a no-op.
Start it with `python -m payment.server` from the folder above.
"""

import os
import signal
import uuid
from concurrent import futures

import grpc
from opentelemetry import trace

from payment.behaviour import serve_the_difficult
from proto import payment_pb2, payment_pb2_grpc

tracer = trace.get_tracer("payment")


class PaymentService(payment_pb2_grpc.PaymentServiceServicer):
    def ProcessPayment(self, request, context):
        with tracer.start_as_current_span("validate_payment") as span:
            span.set_attribute("payment.amount", request.amount)
            span.set_attribute("payment.currency", request.currency)
            if request.amount <= 0:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"amount {request.amount} is not positive")
        return self._pay(request, context)

    def ProcessBatch(self, request_iterator, context):
        amounts = []
        for request in request_iterator:
            self._pay(request, context)
            amounts.append(request.amount)
        return payment_pb2.BatchSummary(accepted=len(amounts), total=sum(amounts))

    def ListPayments(self, request, context):
        for _ in range(request.limit):
            yield self._pay(request, context)

    def ProcessStream(self, request_iterator, context):
        for request in request_iterator:
            yield self._pay(request, context)

    def _pay(self, request, context):
        serve_the_difficult(request.customer_id, context)
        return payment_pb2.PaymentResponse(transaction_id=str(uuid.uuid4()), status="ACCEPTED")


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=int(os.environ.get("WORKERS", "16"))))
    payment_pb2_grpc.add_PaymentServiceServicer_to_server(PaymentService(), server)
    port = server.add_insecure_port(f"[::]:{os.environ.get('PORT', '50051')}")
    server.start()
    print(f"payment-service listens on port {port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=5))
    server.wait_for_termination()


if __name__ == "__main__":
    main()

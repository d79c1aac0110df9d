"""Difficult customers: the way to make this service slow or make it fail, for whoever looks at traces of it."""

import time

import grpc


def serve_the_difficult(customer_id, context):
    """Do what *customer_id* asks for (payment.proto): `slow-<ms>`, `fail-<STATUS>`, `crash`, or nothing."""
    kind, _, argument = customer_id.partition("-")
    if kind == "slow":
        time.sleep(int(argument) / 1000)
    elif kind == "fail":
        context.abort(grpc.StatusCode[argument], f"bank is closed for {customer_id}")
    elif kind == "crash":
        raise RuntimeError(f"no ledger for {customer_id}")

"""Applications that do what nobody expects: they see what they see without us, and each call is told."""

import pytest

from tests.bootstrap.live import Mounted
from tests.bootstrap.process import using_apps, wait

BLOCKED = "grpc.insecure_channel('localhost:1').unary_unary('/a.B/C')(b'', wait_for_ready=True)"
RAISED = """
def raises(*_): raise Odd()
signal.signal(signal.SIGALRM, raises)
try:
    signal.setitimer(signal.ITIMER_REAL, 1)
    {call}
except Exception as error:
    say(type(error).__name__)
"""
BAGGAGE = """
from opentelemetry import baggage, context
context.attach(baggage.set_baggage("a", "x" * 20000))
context.attach(baggage.set_baggage("b", "y"))
say(call(2))
"""
INCOMPARABLE = """
class Kind(type):
    def __eq__(self, other): raise KeyError("mine")
    __hash__ = None
class Odd(metaclass=Kind):
    def __init__(self): self.list = [1]
kept = Odd()
waits = grpc.insecure_channel("localhost:1").unary_unary("/a.B/C").future(b"", wait_for_ready=True)
say(call())
"""
SEARCHING = """
import importlib, plain
sys.meta_path = [finder for finder in sys.meta_path if isinstance(finder, type)]
importlib.invalidate_caches()
server, _ = plain.serve_sync()
say(call(3))
server.stop(None).wait()
"""
TEXTLESS = "class Odd(Exception):\n def __str__(self): raise KeyError('mine')\n"
LOOKALIKE = """
class Odd(grpc.RpcError):
    def code(self): raise KeyError("mine")
    details = initial_metadata = code
    def trailing_metadata(self): return 5
"""
# An exit sends for less than a second, which a busy machine may need for the first connection alone.
FLUSH = """
import gc
for found in gc.get_objects():
    if type(found).__name__ == "Pipeline": found.flush(20)
"""
WRAPPED = (
    """
made = []
def wrapping(original):
    def wrapped(target, *rest, **more):
        made.append(target)
        return original(target, *rest, **more)
    return wrapped
grpc.insecure_channel, grpc.secure_channel = map(wrapping, (grpc.insecure_channel, grpc.secure_channel))
say(call(2))
"""
    + FLUSH
    + "say(len(made))\n"
)
ODD = {  # name → (calls that are told, code)
    "an exception whose text can't be made": (1, TEXTLESS + RAISED.format(call=BLOCKED)),
    "an error that only looks like grpc's": (1, LOOKALIKE + RAISED.format(call=BLOCKED)),
    "more baggage than grpc sends": (2, BAGGAGE),
    "classes that can't be compared": (2, INCOMPARABLE),
    "functions of its own around grpc's": (2, WRAPPED),  # which are not to meet our exports
    "a search for modules of its own": (0, SEARCHING),  # so nobody tells us of grpc's modules
}


@pytest.mark.parametrize("what", ODD)
def test_an_application_with(what, starting, echo, receiver, tmp_path):
    calls, code = ODD[what]
    code = using_apps("import os, signal, sys\nfrom survival import *\n" + code + FLUSH)
    payload = Mounted(tmp_path, capturedMetadata={"response": ["a"]}).path
    plain, ours = (
        starting(code, ECHO=echo, **options)
        for options in ({"payload": None}, {"payload": payload, "endpoint": receiver.endpoint})
    )
    plain = wait(plain)
    assert wait(ours) == plain
    receiver.wait_for(lambda spans: len(spans) >= calls)
    assert len(receiver.spans) == calls


def test_trailing_metadata_that_is_none(starting, receiver, tmp_path):
    """The call ends at its deadline, with us as without, and its server tells it."""
    payload = Mounted(tmp_path, capturedMetadata={"response": ["a"]}).path
    code = using_apps(
        """
import grpc
from concurrent import futures
from survival import say
def handler(request, context):
    context.set_trailing_metadata(5)
    return request
server = grpc.server(futures.ThreadPoolExecutor(1))
handlers = {"C": grpc.unary_unary_rpc_method_handler(handler)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
port = server.add_insecure_port("localhost:0")
server.start()
try:
    grpc.insecure_channel(f"localhost:{port}").unary_unary("/a.B/C")(b"", timeout=2)
except grpc.RpcError as error:
    say(error.code())
server.stop(None).wait()
"""
        + FLUSH
    )
    ended = wait(starting(code, payload=payload, endpoint=receiver.endpoint))
    assert (ended.code, ended.out) == (0, "StatusCode.DEADLINE_EXCEEDED\n")
    assert {span.kind for span in receiver.wait_for(lambda spans: len(spans) >= 2 and spans)} == {"CLIENT", "SERVER"}

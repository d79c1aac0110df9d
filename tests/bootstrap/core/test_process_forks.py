"""Forks and workers: each process sends what is its own, once."""

import threading
import time

import pytest
from _grpctracing import lane

from tests.bootstrap.core.processes import run
from tests.bootstrap.core.receivers import GrpcReceiver, HttpReceiver
from tests.bootstrap.core.test_encode import attributes

RECEIVERS = pytest.mark.parametrize("receiver", [GrpcReceiver, HttpReceiver], ids=["grpc", "http"])


@RECEIVERS
def test_a_forked_child_has_ids_queue_and_instance_of_its_own(receiver):
    with receiver() as collector:
        code = """
            call("before")          # may still wait when the fork comes: the parent's to send, and only once
            children = []
            for _ in range(3):
                child = os.fork()
                if not child:
                    assert len(os.listdir("/proc/self/task")) == 1
                    for _ in range(5): call("child")
                    pipeline.flush(20)  # a busy machine may need more than an exit is given
                    sys.exit(0)
                children.append(child)
            for _ in range(5): call("parent")
            pipeline.flush(20)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
            """
        environ = {
            **collector.environ(),
            "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=uid.app",
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }
        status, out, err = run(code, environ)
        assert (status, out, err) == (0, "", "")
        spans = collector.received.spans()
        names = sorted(span.name for span in spans)
        assert names == ["a.B/before"] + ["a.B/child"] * 15 + ["a.B/parent"] * 5
        assert len({span.span_id for span in spans}) == len({span.trace_id for span in spans}) == 21
        instances = {
            attributes(batch.resource)["service.instance.id"]
            for request in collector.received.traces
            for batch in request.resource_spans
        }
        assert len(instances) == 4
        assert "uid.app" in instances


def test_a_multiprocessing_worker_that_leaves_by_os_exit_flushes():
    with HttpReceiver() as collector:
        code = """
            import multiprocessing
            worker = multiprocessing.get_context("fork").Process(target=call)
            worker.start()
            worker.join()
            assert worker.exitcode == 0
            """
        assert run(code, collector.environ()) == (0, "", "")
        assert len(collector.received.spans()) == 1


def test_of_two_threads_that_fork_at_the_same_time_each_lets_go_of_what_it_held(make_pipeline):
    """Else nothing would be exported any more, and each later fork would wait in vain."""
    pipeline = make_pipeline({})
    exporter = pipeline.departed()
    inside, over = threading.Event(), threading.Event()

    def slow():
        pipeline._before_fork()
        inside.set()
        over.wait(30)
        pipeline._go_on()

    first = threading.Thread(target=slow)
    first.start()
    inside.wait(30)
    pipeline._before_fork()  # gives up waiting
    pipeline._go_on()
    over.set()
    first.join()
    assert exporter.hold(0.0)
    exporter.release()


def test_a_send_that_has_come_to_stand_a_fork_is_not_broken_off(make_pipeline):
    """It may have been about to connect when the fork began."""
    connected, answered, broken = threading.Event(), threading.Event(), []

    class Slow:
        def send(self, *_):
            time.sleep(0.3)  # as long as a connection may take on a busy machine
            connected.set()
            answered.wait(30)
            return lane.Outcome(lane.SENT)

        def forkable(self):
            return connected.is_set()

        def renew(self):
            broken.append(connected.is_set())

        close = renew

    pipeline = make_pipeline({"OTEL_METRICS_EXPORTER": "none"})
    exporter = pipeline.departed()
    exporter.spans.transport = Slow()
    exporter.spans.offer(b"x", 1)
    exporter.wake()
    while not exporter.spans.sending:
        time.sleep(0.001)
    assert not exporter.hold(0.0)
    assert True not in broken
    assert not exporter.spans.interrupted
    answered.set()

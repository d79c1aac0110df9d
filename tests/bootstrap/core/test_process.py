"""What needs a process of its own: start, exit, signals, interpreters."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.bootstrap.core.processes import PAYLOAD, SETUP, WARM, run, start
from tests.bootstrap.core.receivers import GrpcReceiver, HttpReceiver, free_port

LOADED_SECONDS = 0.35  # of interpreter teardown on a busy machine, which is there without us too
RECEIVERS = pytest.mark.parametrize("receiver", [GrpcReceiver, HttpReceiver], ids=["grpc", "http"])


def test_before_the_first_finished_call_there_is_no_thread_and_no_descriptor():
    code = """
        import _thread
        descriptors = len(os.listdir("/proc/self/fd"))
        assert pipeline.enabled
        pipeline.start(2, "/a.B/C", None)
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert len(os.listdir("/proc/self/task")) == 1, os.listdir("/proc/self/task")
        assert not {"grpc", "http.client", "json", "logging", "typing", "dataclasses", "random", "urllib.parse", "asyncio"} & set(sys.modules), sorted(sys.modules)
        call()
        assert len(os.listdir("/proc/self/task")) == 2
        assert threading.enumerate() == [threading.main_thread()]
        """
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    assert run(code, environ, before="") == (0, "", "")


@RECEIVERS
def test_an_exit_right_after_the_last_call_loses_nothing(receiver):
    with receiver() as collector:
        code = "for _ in range(40): call()"
        assert run(code, collector.environ()) == (0, "", "")
        assert len(collector.received.spans()) == 40


@RECEIVERS
def test_metrics_are_flushed_at_exit(receiver):
    with receiver() as collector:
        assert run("call()", {**collector.environ(), "OTEL_METRICS_EXPORTER": "otlp"}) == (0, "", "")
        assert len(collector.received.metrics) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("how", ["refusing", "silent", "no such name"])
def test_an_exit_with_the_collector_away_takes_at_most_a_second(protocol, how):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1] if how == "silent" else free_port()
        host = "collector.invalid" if how == "no such name" else "127.0.0.1"
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "otlp",
        }
        code = """
            import atexit
            def tell():
                sys.stdout.write(str(time.monotonic()) + "\\n")
                sys.stdout.flush()
            atexit.register(tell)
            for _ in range(40): call()
            """
        process = start(code, environ)
        at_exit = float(process.stdout.readline())
        process.wait(20)
        took = time.monotonic() - at_exit
        assert (process.returncode, process.communicate()[1]) == (0, "")
        print(f"exit took {took:.2f} s")
        assert took <= 1.0 + LOADED_SECONDS


@RECEIVERS
def test_sigterm_with_the_default_disposition_flushes_and_still_kills(receiver):
    with receiver() as collector:
        code = """
            for _ in range(40): call()
            print("ready", flush=True)
            while True: time.sleep(0.05)
            """
        process = start(code, {**collector.environ(), "OTEL_BSP_SCHEDULE_DELAY": "30000"})
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (-signal.SIGTERM, "")
        assert len(collector.received.spans()) == 40


def test_sigterm_with_the_collector_away_kills_within_a_second():
    process = start(
        "call()\nprint('ready', flush=True)\nwhile True: time.sleep(0.05)",
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
    )
    assert process.stdout.readline() == "ready\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - begun <= 1.0 + LOADED_SECONDS


@pytest.mark.parametrize(
    ("handler", "status", "says"),
    [
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))", 3, ""),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); threading.Timer(0.3, os._exit, (4,)).start()", 4, ""),
        (
            "old = signal.getsignal(signal.SIGTERM); signal.signal(signal.SIGTERM, lambda *a: (callable(old) and old(*a), print('mine', flush=True), os._exit(5)))",
            5,
            "mine\n",
        ),
    ],
    ids=["own handler", "ignored", "chained"],
)
def test_an_applications_own_sigterm_rule_is_kept(handler, status, says):
    process = start(handler + "\nprint('ready', flush=True)\nwhile True: time.sleep(0.05)")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (status, says, "")


def test_a_disposition_that_was_set_before_grpc_is_not_touched():
    code = """
        assert signal.getsignal(signal.SIGTERM) == pipeline._on_sigterm
        mine = lambda *_: None
        signal.signal(signal.SIGTERM, mine)
        module.create()
        assert signal.getsignal(signal.SIGTERM) is mine
        thread = threading.Thread(target=module.create)
        thread.start()
        thread.join()
        """
    assert run(code) == (0, "", "")


@pytest.mark.parametrize("traced", [False, True], ids=["without", "with"])
def test_pid_1_ignores_sigterm_with_us_as_without(traced):
    """A PID namespace of its own makes the process PID 1, where the kernel ignores a SIGTERM that nobody handles."""
    if os.geteuid() != 0:
        print("not root: no PID namespace to be had, nothing checked")
        return
    with GrpcReceiver() as collector:
        code = """
            assert os.getpid() == 1
            {before}
            os.kill(1, signal.SIGTERM)
            time.sleep(1.2)
            os.kill(1, signal.SIGTERM)
            time.sleep(0.2)
            {after}
            print("alive", flush=True)
            """.format(
            before="call()" if traced else "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
            after="call()" if traced else "",
        )
        program = WARM + SETUP.format(payload=str(PAYLOAD)) + textwrap.dedent(code)
        environ = {
            **os.environ,
            **collector.environ(),
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "30000",
        }
        done = subprocess.run(
            ["unshare", "--pid", "--fork", sys.executable, "-c", program],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
        assert len(collector.received.spans()) == (2 if traced else 0)


def test_calls_that_end_while_the_interpreter_ends_do_no_harm():
    code = """
        import atexit
        def late():
            for _ in range(3000): call()
        atexit.unregister(pipeline.shutdown)
        atexit.register(late)
        atexit.register(pipeline.shutdown, 0.9)
        """
    assert run(code, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}) == (0, "", "")


def test_a_process_that_has_no_thread_to_spare_goes_on():
    code = """
        exporter = pipeline._exporter
        real = exporter._start_thread
        def refuse(*_): raise RuntimeError("can't start new thread")
        exporter._start_thread = refuse
        for _ in range(3000): call()
        assert pipeline.enabled and pipeline.counters["spans_dropped"] == 3000 - 2048, pipeline.counters
        exporter._start_thread = real
        call()
        pipeline.flush(5)
        """
    with HttpReceiver() as collector:
        assert run(code, collector.environ()) == (0, "", "")
        assert len(collector.received.spans()) == 2048


def interpreters():
    """Every CPython from 3.8 on that this machine has, by version; the newest patch of each."""
    found = {}
    places = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    for minor in range(8, 15):
        for place in places:
            python = place / f"python3.{minor}"
            if python.exists() and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
                found[f"3.{minor}"] = str(python)
                break
    return found


INTERPRETERS = interpreters()


def test_which_interpreters_are_checked():
    lacking = [f"3.{minor}" for minor in range(8, 15) if f"3.{minor}" not in INTERPRETERS]
    print("checked:", ", ".join(INTERPRETERS), "- lacking on this machine:", ", ".join(lacking) or "none")
    assert f"3.{sys.version_info[1]}" in INTERPRETERS


@pytest.mark.parametrize("version", INTERPRETERS)
def test_every_interpreter_encodes_and_exports(version):
    with HttpReceiver() as collector:
        code = f"""
            assert "%d.%d" % sys.version_info[:2] == {version!r}
            from _grpctracing.context import SpanContext
            found, baggage = pipeline.extract([("traceparent", "00-%032x-%016x-01" % (5, 6)), ("tracestate", "a=b"), ("baggage", "x=1")])
            assert found == SpanContext(5, 6, 1, "a=b", True) and baggage == "x=1"
            context, parent, sampled = pipeline.start(3, "/a.B/C", found)
            assert (context.trace_id, parent, sampled) == (5, 6, True)
            assert dict(pipeline.inject(context, baggage))["baggage"] == "x=1"
            for _ in range(3): call()
            """
        environ = {
            **collector.environ(),
            "OTEL_METRICS_EXPORTER": "otlp",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "error",
        }
        assert run(code, environ, python=INTERPRETERS[version], before="") == (0, "", "")
        assert len(collector.received.spans()) == 3
        assert len(collector.received.metrics) == 1

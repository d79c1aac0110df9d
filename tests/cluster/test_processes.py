# A test is called by the runner alone.
import os
import signal
import sys
import time

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.processes import Process, load, save, spawn, start_time, stop, wait_until

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)",
]


@pytest.fixture
def start(tmp_path):
    started = []

    def _start(command):
        log = tmp_path / "log"
        process = spawn("thing", command, log)
        started.append(process)
        wait_until("it speaks", lambda: log.exists() and "here" in log.read_text(), [process], log, within=10)
        return process

    yield _start
    for process in started:
        process.signal(signal.SIGKILL)


def test_a_process_runs_until_it_is_stopped(start):
    process = start(SLEEPER)
    assert process.alive
    stop([process])
    assert not process.alive


def test_a_process_that_ignores_sigterm_is_killed(start):
    process = start(STUBBORN)
    stop([process], grace=0.1)
    assert not process.alive


def test_a_reused_process_id_is_not_ours():
    stranger = Process("kubelet", os.getpid(), start_time(os.getpid()) - 1)
    assert not stranger.alive
    stop([stranger])  # and so this test goes on


def test_a_record_survives_the_one_who_wrote_it(tmp_path):
    process = Process("etcd", os.getpid(), start_time(os.getpid()))
    save([process], tmp_path / "processes.json")
    assert load(tmp_path / "processes.json") == [process]
    assert process.alive


def test_no_record_means_no_processes(tmp_path):
    assert load(tmp_path / "processes.json") == []


def test_a_death_while_waiting_is_told_with_the_end_of_the_log(tmp_path):
    log = tmp_path / "log"
    process = spawn("etcd", [sys.executable, "-c", "raise SystemExit('no such port')"], log)
    with pytest.raises(ClusterError, match=r"(?s)etcd is ready: etcd ended\. .*no such port"):
        wait_until("etcd is ready", lambda: False, [process], log, within=10)


def test_waiting_ends(tmp_path):
    started = time.monotonic()
    with pytest.raises(ClusterError, match="not within 0 s"):
        wait_until("it is ready", lambda: False, [], tmp_path / "log", within=0.2)
    assert time.monotonic() - started < 5


def test_a_second_start_is_refused_with_the_holder(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(ClusterError, match=f"busy \\(process {os.getpid()} holds"):  # noqa: SIM117
        with locked(tmp_path / "lock", refuse="busy"):
            raise AssertionError("both hold the lock")


def test_the_lock_is_free_after_its_holder(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "lock", refuse="busy"):
            assert (tmp_path / "lock").read_text() == str(os.getpid())

"""Processes that lack what others take for granted: writable files, memory, a stderr, a clock that runs forward, file descriptors."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bootstrap.process import PAYLOAD, ROOT, Ended, environment, using_apps, wait

LIMIT = 64 << 20
CGROUP = Path("/sys/fs/cgroup/memory")
CALLS = using_apps("from survival import *\nsay(call(3))\n")


def run(command, payload, endpoint="", **options):
    done = subprocess.run(
        command, env=environment(payload, endpoint, **options), capture_output=True, text=True, timeout=90, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_read_only_root_and_tmp(echo, receiver):
    if os.geteuid():
        print("not root: no mounts to be had, nothing checked")
        return
    mounts = "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp && mount -o remount,ro,bind / && ! touch /tmp/x 2>/dev/null"
    command = ["unshare", "--mount", "sh", "-ec", mounts + ' && exec "$0" "$@"', sys.executable, "-c", CALLS]
    plain, ours = run(command, None, ECHO=echo), run(command, PAYLOAD, receiver.endpoint, ECHO=echo)
    assert ours == plain == Ended(0, "3\n", "")
    receiver.wait_for(lambda spans: len(spans) == 3)


# A root of its own with all that / has but /tmp; of /tmp, what this test needs may be in there.
WITHOUT_TMP = """
root=$(mktemp -d)
mount -t tmpfs none "$root"
for place in /[!.]*; do
    case $place in /tmp|/proc) continue;; esac
    if [ -L "$place" ]; then cp -P "$place" "$root$place"
    elif [ -d "$place" ]; then mkdir "$root$place"; mount --rbind "$place" "$root$place"; fi
done
mkdir "$root/proc"; mount --rbind /proc "$root/proc"
for place in "$CHECKOUT" "$INSTALLED"; do
    case $place in /tmp/*) mkdir -p "$root$place"; mount --bind "$place" "$root$place"; mount -o remount,ro,bind "$root$place";; esac
done
mount -o remount,ro "$root"
exec chroot "$root" "$0" "$@"
"""


def test_no_tmp(echo, receiver):
    if os.geteuid():
        print("not root: no mounts to be had, nothing checked")
        return
    code = (
        CALLS + "import tempfile\ntry: say(open('/tmp/x', 'w'))\nexcept OSError as error: say(type(error).__name__)\n"
    )
    command = ["unshare", "--mount", "sh", "-ec", WITHOUT_TMP, sys.executable, "-c", code]
    options = {"ECHO": echo, "CHECKOUT": str(ROOT), "INSTALLED": sys.base_prefix}
    plain, ours = run(command, None, **options), run(command, PAYLOAD, receiver.endpoint, **options)
    assert ours == plain
    assert (ours.code, ours.out[:2], ours.err) == (0, "3\n", "")
    assert ours.out.endswith("Error\n")
    receiver.wait_for(lambda spans: len(spans) == 3)


@contextmanager
def memory(limit):
    """Yield the command that runs another one in a cgroup of so many bytes; None where there is no right to make one."""
    group = CGROUP / f"grpctracing-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        yield ["sh", "-ec", f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"'], group
    finally:
        group.rmdir()


def test_64_megabytes_with_the_collector_away_and_the_queue_full(echo, silent):
    code = using_apps(
        "from survival import *\nsay(call(3000))\nprint(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    with memory(LIMIT) as found:
        before, group = found or ([], None)
        ended = run([*before, sys.executable, "-c", code], PAYLOAD, silent, ECHO=echo)
        assert (ended.code, ended.out) == (0, "3000\n"), ended
        if group is None:
            print("no cgroup to be had: nothing killed, only measured")
        else:
            assert "oom_kill 0" in (group / "memory.oom_control").read_text()
    peak = int(ended.err) << 10
    print(f"peak: {peak / 2**20:.1f} MiB")
    assert peak < LIMIT


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_standard_streams_that_are_closed(closed, echo, receiver):
    """With warnings and the console exporter, which write there; the status tells that the calls went well."""
    code = using_apps("from survival import *\nsys.exit(call(3))")
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", code]
    options = {
        "ECHO": echo,
        "OTEL_TRACES_EXPORTER": "console,otlp",
        "OTEL_TRACES_SAMPLER": "nonsense",
        "GRPCTRACING_LOG": "debug",
    }
    plain, ours = run(command, None, ECHO=echo), run(command, PAYLOAD, receiver.endpoint, **options)
    assert ours == plain
    assert ours.code == 3
    receiver.wait_for(lambda spans: len(spans) == 3)


def test_no_thread_to_be_had(starting, echo, receiver):
    """As where a container has a low limit of processes: the calls go on, and the next full batch tries again."""
    code = using_apps("""
import _thread
real = _thread.start_new_thread
def refuse(*_):
    raise RuntimeError("can't start new thread")
_thread.start_new_thread = refuse
from survival import *
say(call(100))
""")
    ended = wait(starting(code, endpoint=receiver.endpoint, ECHO=echo, OTEL_BSP_MAX_QUEUE_SIZE="20"))
    assert (ended.code, ended.out, ended.err) == (0, "100\n", "")


def test_no_descriptor_to_be_had(starting, echo, receiver):
    """Calls go on over the connection that is there; ours is made when there are descriptors again."""
    code = using_apps("""
import resource, time
from survival import *
with grpc.insecure_channel("localhost:" + os.environ["ECHO"]) as channel:
    echo = channel.unary_unary("/test.Echo/UU")
    for number in (64, 0):
        if not number:
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, most))
            files = []
            try:
                while True: files.append(os.open("/dev/null", 0))
            except OSError: pass
        say(echo(b"a"))
        time.sleep(0.3)
    for file in files: os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    say(echo(b"a"))
    time.sleep(0.5)
""")
    ended = wait(starting(code, endpoint=receiver.endpoint, ECHO=echo, OTEL_BSP_SCHEDULE_DELAY="100"))
    assert (ended.code, ended.out, ended.err) == (0, "b'aa'\n" * 3, "")
    receiver.wait_for(lambda spans: len(spans) == 3)


CLOCKS = {
    "stands still": "time.time_ns = lambda: 10 ** 18",
    "jumps back and forth": "import itertools\nzigzag = itertools.cycle([10 ** 18, 10 ** 17, 0, 2 * 10 ** 18]).__next__\ntime.time_ns = zigzag\n",
    "goes back": "import itertools\ntime.time_ns = itertools.count(10 ** 18, -10 ** 9).__next__",
    "is before 1970": "time.time_ns = lambda: -10 ** 18",
    "is no number": "time.time_ns = lambda: None",
    "raises": "def broken(): raise RuntimeError('no clock')\ntime.time_ns = broken",
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_that(clock, starting, echo, receiver):
    """The application replaces the clocks before it imports grpc, as a test of its own might. Durations come from another clock."""
    code = using_apps(f"import time\n{CLOCKS[clock]}\nfrom survival import *\nsay(call(3))\n")
    ended = wait(starting(code, endpoint=receiver.endpoint, ECHO=echo))
    assert (ended.code, ended.out) == (0, "3\n"), ended.err
    assert "Traceback" not in ended.err
    if clock not in {"is before 1970", "is no number", "raises"}:
        for span in receiver.wait_for(lambda spans: len(spans) >= 3 and spans):
            assert 0 <= span.end - span.start < 60 * 10**9

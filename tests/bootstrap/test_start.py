"""How the payload gets into a process, and how little of it a process that never imports grpc can notice."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.process import PAYLOAD, run, start, using_apps, wait

SEEN = """
import json, os, sys, threading, signal
print(json.dumps({
    "modules": sorted(name for name in sys.modules if "grpctracing" in name),
    "path": sys.path[1:],
    "threads": threading.active_count(),
    "tasks": len(os.listdir("/proc/self/task")),
    "descriptors": sorted(os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)),
    "sigterm": str(signal.getsignal(signal.SIGTERM)),
    "loaded": len(sys.modules),
}))
"""


def seen(code=SEEN, **options):
    ended = run(code, **options)
    assert ended.err == ""
    found = json.loads(ended.out)
    found["descriptors"] = [name for name in found["descriptors"] if not name.startswith("pipe:")]
    return found


@pytest.fixture
def flat(tmp_path):
    """The payload as the kubelet mounts a ConfigMap: flat files behind two symbolic links."""
    data = tmp_path / "..2026_01_01_00_00_00.1"
    data.mkdir()
    for file in [*PAYLOAD.glob("*.py"), *PAYLOAD.glob("_grpctracing/*.py")]:
        name = file.name if file.parent == PAYLOAD else f"_grpctracing.{file.name}"
        (data / name).write_bytes(file.read_bytes())
        (tmp_path / name).symlink_to(Path("..data") / name)
    (tmp_path / "..data").symlink_to(data.name)
    for path in (data, tmp_path):
        path.chmod(0o555)
    yield tmp_path
    for path in (data, tmp_path):
        path.chmod(0o755)


def test_a_process_without_grpc_has_nothing_but_the_stub():
    plain, ours = seen(payload=None), seen()
    assert ours.pop("loaded") - plain.pop("loaded") <= 1  # sitecustomize
    assert ours == plain


def test_looking_for_grpc_is_not_importing_it():
    code = """
import importlib.util, sys
print(importlib.util.find_spec("grpc").loader is not None, importlib.util.find_spec("grpc.aio") is not None, "grpc" in sys.modules)
"""
    assert run(code) == run(code, payload=None)


def test_importing_grpc_alone_starts_no_thread_and_opens_nothing():
    code = "import grpc\n" + SEEN
    plain, ours = seen(code, payload=None), seen(code)
    for key in ("threads", "tasks", "descriptors", "path"):
        assert ours[key] == plain[key]


def test_meta_path_is_as_it_was_once_everything_is_hooked():
    code = """
import sys, grpc, grpc._channel, grpc._server
print([type(finder).__module__ for finder in sys.meta_path if "grpctracing" in type(finder).__module__], grpc.__loader__, grpc.__spec__.loader is grpc.__loader__)
"""
    assert "_frozen_importlib_external.SourceFileLoader" in run(code).out
    assert "True" in run(code).out


def test_the_flat_layout_of_a_config_map(flat, receiver):
    run(Path("plain.py"), "both", "sync", payload=flat, endpoint=receiver.endpoint)
    assert receiver.one("SERVER", "test.Echo/UU").status == "UNSET"


@pytest.mark.parametrize("stack", ["sync", "aio"])
def test_what_is_loaded_later_is_there_after_the_config_map_is_gone(flat, receiver, stack):
    code = f"""
import grpc, os, pathlib
for file in pathlib.Path({str(flat / "..data")!r}).iterdir():
    file.parent.resolve().chmod(0o755)
    file.unlink()
from opentelemetry import trace
import plain, asyncio
with trace.get_tracer("mine").start_as_current_span("manual"):
    plain.sync("both", 0) if {stack!r} == "sync" else asyncio.run(plain.aio("both", 0))
"""
    run(using_apps(code), payload=flat, endpoint=receiver.endpoint)
    assert receiver.one("CLIENT", "test.Echo/SS").parent == receiver.one("INTERNAL", "manual").id


@pytest.mark.parametrize(
    "missing",
    ["_grpctracing.__init__.py", "_grpctracing.hook.py", "_grpctracing.pipeline.py", "_grpctracing.status.py"],
)
def test_an_incomplete_payload_does_no_harm(flat, missing):
    (flat / "..data").resolve().chmod(0o755)
    ((flat / "..data") / missing).unlink()
    ended = run(Path("plain.py"), "both", "sync", payload=flat)
    assert ended.out == run(Path("plain.py"), "both", "sync", payload=None).out
    assert ended.err == "" or (ended.err.startswith("grpctracing: off, ") and ended.err.count("\n") == 1)


def test_a_corrupt_module_does_no_harm(flat):
    (flat / "..data" / "_grpctracing.call.py").write_text("def (\n")
    ended = run(Path("plain.py"), "both", "sync", payload=flat)
    assert ended.out == run(Path("plain.py"), "both", "sync", payload=None).out
    assert ended.err.startswith("grpctracing: off, SyntaxError while hooking grpc")


class TestOwnSitecustomize:
    """The application's own sitecustomize runs as it would without us."""

    def observe(
        self, tmp_path, text, payload, code="import sys; print(sys.modules['sitecustomize'].__file__)", flags=()
    ):
        (tmp_path / "sitecustomize.py").write_text(text)
        paths = [str(payload)] if payload else []
        process = start(code, payload=payload, flags=flags, PYTHONPATH=":".join([*paths, str(tmp_path)]))
        ended = wait(process)
        return ended.code, ended.out, ended.err

    @pytest.mark.parametrize(
        "text",
        [
            "print('mine')",
            "raise ValueError('mine')",
            "import not_there",
            "raise ImportError('x')",
            "raise SystemExit(3)",
            "import sys; sys.path.append('/x')",
            "(",
            "import grpc",
        ],
    )
    def test_runs(self, tmp_path, text):
        plain, ours = self.observe(tmp_path, text, None), self.observe(tmp_path, text, PAYLOAD)
        if plain[0]:  # the interpreter gives up: the traceback names one more file
            plain, ours = ((*ended[:2], ended[2].splitlines()[0]) for ended in (plain, ours))
        assert ours == plain

    def test_that_imports_grpc_is_traced(self, tmp_path, receiver):
        (tmp_path / "sitecustomize.py").write_text("import grpc")
        run(Path("plain.py"), "both", "sync", endpoint=receiver.endpoint, PYTHONPATH=f"{PAYLOAD}:{tmp_path}")
        receiver.one("SERVER", "test.Echo/UU")


@pytest.mark.parametrize(
    "flags", [("-W", "error"), ("-W", "error", "-X", "dev"), ("-O",), ("-OO",), ("-B",), ("-s",), ("-P",)]
)
def test_flags(flags):
    ended = run(Path("plain.py"), "both", "sync", flags=flags)
    assert (ended.out, ended.err) == (run(Path("plain.py"), "both", "sync", payload=None, flags=flags).out, "")


def test_a_safe_path(receiver):
    run(Path("plain.py"), "both", "sync", endpoint=receiver.endpoint, PYTHONSAFEPATH="1", PYTHONNOUSERSITE="1")
    receiver.one("SERVER", "test.Echo/UU")


def test_two_payloads_tell_each_call_once(flat, receiver):
    """That of the operator and one that the image has already."""
    run(Path("plain.py"), "both", "sync", endpoint=receiver.endpoint, PYTHONPATH=f"{PAYLOAD}:{flat}")
    receiver.wait_for(lambda spans: len(spans) >= 8)
    assert len(receiver.spans) == 8


def test_an_application_in_a_zip_file(tmp_path, receiver):
    shutil.copy(Path(__file__).parent / "apps" / "plain.py", tmp_path / "__main__.py")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.write(tmp_path / "__main__.py", "__main__.py")
    start_it = f"runpy.run_path({str(tmp_path / 'app.pyz')!r}, run_name='__main__')"
    run(f"import runpy, sys\nsys.argv = ['app', 'both', 'sync']\n{start_it}", endpoint=receiver.endpoint)
    receiver.one("SERVER", "test.Echo/UU")


def test_a_finder_of_the_old_kind_goes_before_others(tmp_path):
    """Python 3.12 asks them no more."""
    (tmp_path / "other.py").write_text("mine = True")
    code = f"""
import sys
from importlib.machinery import SourceFileLoader
class Old:
    def find_module(self, name, path=None):
        return SourceFileLoader(name, {str(tmp_path / "other.py")!r}) if name == "grpc" else None
class Blind:
    def find_module(self, name, path=None):
        return None
sys.meta_path[-1:-1] = [Blind(), Old()]
import grpc
print(hasattr(grpc, "mine"))
"""
    flags = ("-W", "ignore")
    assert run(code, flags=flags) == run(code, payload=None, flags=flags)


@pytest.mark.parametrize("flags", [("-I",), ("-E",), ("-S",)])
def test_flags_that_keep_us_out(flags):
    assert run("import sys; print([name for name in sys.modules if 'grpctracing' in name])", flags=flags).out == "[]\n"


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_an_old_python_runs_on_untouched(version):
    python = interpreters.needed(version)
    code = "import sys; print([name for name in sys.modules if 'grpctracing' in name]); print([p for p in sys.path if 'payload' in p])"
    ended = run(code, python=python)
    assert (ended.out, ended.err) == ("[]\n[]\n", "")


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_an_old_python_runs_its_own_sitecustomize(tmp_path, version):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stdout.write('mine\\n')")
    ended = run("pass", python=interpreters.needed(version), PYTHONPATH=f"{PAYLOAD}:{tmp_path}")
    assert (ended.out, ended.err) == ("mine\n", "")


def test_grpc_that_was_imported_before(tmp_path, receiver):
    """As where another tool's .pth file imports grpc before us."""
    code = f"""
import sys, runpy
sys.path.insert(0, {str(PAYLOAD)!r})
import grpc
import grpc._channel, grpc._server
runpy.run_path({str(PAYLOAD / "sitecustomize.py")!r}, run_name="sitecustomize")
sys.argv = ["plain.py", "both", "sync"]
runpy.run_path({str(Path(__file__).parent / "apps" / "plain.py")!r}, run_name="__main__")
"""
    run(code, endpoint=receiver.endpoint, PYTHONPATH="", OTEL_BSP_SCHEDULE_DELAY="50")
    receiver.one("SERVER", "test.Echo/UU")


def test_a_reload_of_grpc(receiver):
    """It gives the application a second set of classes, which breaks what it breaks without us, too."""
    code = """
import importlib, grpc, grpc._channel
first = grpc._channel._UnaryUnaryMultiCallable.__call__
importlib.reload(grpc)
print(first is grpc._channel._UnaryUnaryMultiCallable.__call__, grpc.__spec__.loader is grpc.__loader__)
importlib.reload(grpc._channel)
print(first is grpc._channel._UnaryUnaryMultiCallable.__call__)
try:
    grpc.insecure_channel("localhost:1").unary_unary("/a/b")(b"")
except Exception as error:
    print(type(error))
"""
    assert run(code, endpoint=receiver.endpoint) == run(code, payload=None)


def test_a_failed_import_of_grpc_may_be_tried_again(tmp_path, receiver):
    (tmp_path / "grpc.py").write_text("raise ImportError('not this one')")
    code = f"""
import sys, runpy
try:
    import grpc
except ImportError as error:
    print(error)
sys.path.remove({str(tmp_path)!r})
import importlib; importlib.invalidate_caches()
sys.argv = ["plain.py", "both", "sync"]
runpy.run_path({str(Path(__file__).parent / "apps" / "plain.py")!r}, run_name="__main__")
"""
    ended = run(code, endpoint=receiver.endpoint, PYTHONPATH=f"{PAYLOAD}:{tmp_path}")
    assert ended.out.startswith("not this one")
    receiver.one("SERVER", "test.Echo/UU")


def test_no_grpc_at_all(tmp_path):
    code = "import sys\nsys.modules['grpc'] = None\ntry:\n import grpc\nexcept ImportError as error:\n print(type(error).__name__)"
    assert run(code).out == run(code, payload=None).out


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_SAMPLER": "nonsense"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "::nonsense::"},
    ],
)
def test_no_variable_can_break_the_application(env):
    ended = run(Path("plain.py"), "both", "sync", **env)
    assert ended.out == run(Path("plain.py"), "both", "sync", payload=None).out


def test_the_stub_parses_on_python_2():
    python = interpreters.needed("2.7")
    subprocess.run([python, "-m", "py_compile", str(PAYLOAD / "sitecustomize.py")], check=True)
    (PAYLOAD / "sitecustomize.pyc").unlink()

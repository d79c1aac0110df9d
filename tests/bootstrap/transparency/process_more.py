"""What of the process an application can see: in an interpreter of its own where flags or its start matter, else in the case's process."""

import textwrap

from tests.bootstrap.transparency.bench import case, fresh

CALL = """
from concurrent import futures
import grpc
def serve(behavior=lambda request, context: request):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(behavior)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", {"M": handler}),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    return server, grpc.insecure_channel("localhost:%d" % port)
server, channel = serve()
def call():
    return channel.unary_unary("/t.S/M")(b"a")
"""


def here(code):
    """Run *code* as the program of this process; what it prints is compared."""
    exec(compile(textwrap.dedent(code), "program", "exec"), {"__name__": "__main__"})


END = "\nchannel.close(); server.stop(None).wait()\n"


@case
def warnings_are_errors():
    return fresh(CALL + "import grpc.aio, grpc.experimental\nprint(call())" + END, "-W", "error")


@case
def development_mode_says_nothing_new():
    return fresh(CALL + "print(call())" + END, "-X", "dev")


@case
def bytes_warnings_are_errors():
    return fresh(CALL + "print(call())" + END, "-bb", "-W", "error")


@case
def optimized_without_docstrings():
    return fresh(CALL + "print(call(), grpc.__doc__)" + END, "-OO")


@case
def isolated_and_without_site():
    return [
        fresh("import sys; print(len(sys.path) > 0, '_grpctracing' in sys.modules)", flag)
        for flag in ("-I", "-S", "-E")
    ]


@case
def search_path():
    code = "import sys; print(sys.path)"
    return [fresh(code), fresh(CALL + "call()\n" + code + END)]


@case
def modules_without_grpc():
    """A process that never imports grpc has no module more than Python's own sitecustomize."""
    return fresh("import sys; print(sorted(set(sys.modules) - {'sitecustomize'}))")


@case
def modules_with_grpc():
    """Those of the standard library that grpc loads anyway, and ours."""
    return fresh(
        "import sys, grpc; print(sorted(n for n in sys.modules if n != 'sitecustomize' and not n.startswith('_grpctracing')"
        " and not n.startswith(('google', 'mpl_toolkits')) and n.split('.')[0] == 'grpc'))"
    )


@case
def names_in_builtins_and_main():
    return fresh("import builtins, grpc; print(sorted(vars(builtins)), sorted(globals()))")


@case
def threads_without_calls():
    return [
        fresh("import threading; print([t.name for t in threading.enumerate()])"),
        fresh(
            "import grpc, os, threading; print([t.name for t in threading.enumerate()], len(os.listdir('/proc/self/task')))"
        ),
    ]


@case
def file_descriptors_without_calls():
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    return [fresh(code), fresh("import grpc\n" + code)]


@case
def signal_handlers():
    """With grpc, SIGTERM's default is ours: what that does is tested with the endings of processes."""
    code = "import signal; print([str(signal.getsignal(n)) for n in range(1, 32) if n != %d]); print(signal.set_wakeup_fd(-1))"
    return [fresh(code % 0), fresh(CALL + "call()\n" + code % 15 + END)]


@case
def a_signal_handler_of_the_application_stays():
    code = """
import os, signal
def mine(*_): print("mine")
signal.signal(signal.SIGTERM, mine)
call()
print(signal.getsignal(signal.SIGTERM) is mine)
os.kill(os.getpid(), signal.SIGTERM)
"""
    here(CALL + code + END)


@case
def faults_are_told_as_before():
    code = "import faulthandler, sys; print(faulthandler.is_enabled())"
    return fresh("import grpc\n" + code, "-X", "faulthandler")


@case
def hooks_of_the_interpreter():
    names = (
        "excepthook displayhook breakpointhook unraisablehook getprofile gettrace getswitchinterval getrecursionlimit"
    )
    code = f"import sys, threading, gc; print([str(getattr(sys, n)() if n.startswith('get') else getattr(sys, n)) for n in {names.split()!r}])"
    more = "\nprint(gc.isenabled(), gc.get_threshold(), threading.excepthook.__name__, sys.flags, sys.warnoptions)"
    return [fresh(code + more), fresh(CALL + "call()\n" + code + more + END)]


@case
def finders_and_path_hooks():
    code = "import sys; print([str(f)[:40] for f in sys.meta_path if 'grpctracing' not in type(f).__module__ and type(f).__module__ != 'sitecustomize'], len(sys.path_hooks))"
    return [fresh(code), fresh("import grpc\n" + code)]


@case
def logging_is_not_configured():
    here(
        CALL
        + "call(); import logging; print(logging.root.handlers, logging.root.level, sorted(logging.root.manager.loggerDict))"
        + END
    )


@case
def locale_encoding_and_clock():
    here(
        CALL
        + "call(); import locale, sys, time; print(locale.setlocale(locale.LC_ALL), sys.stdout.encoding, time.tzname)"
        + END
    )


@case
def pickles_of_grpc_objects():
    code = """
import pickle, grpc, grpc._channel, grpc._server
for one in (grpc, grpc.RpcError, grpc._channel.Channel, grpc._channel._UnaryUnaryMultiCallable.__call__, grpc._server._status, call):
    try:
        print(pickle.loads(pickle.dumps(one)) is one)
    except Exception as error:
        print(type(error).__name__, error)
"""
    here(CALL + code + END)


@case
def modules_can_be_loaded_again():
    code = """
import importlib, sys
call()
print(importlib.reload(grpc) is grpc)
for name in ("grpc._channel", "grpc._server", "grpc._interceptor"):
    print(importlib.reload(sys.modules[name]) is sys.modules[name])
server, channel = serve()
try:
    print(call())
except grpc.RpcError as error:  # the codes of what was not loaded again are others
    print(error.code())
"""
    here(CALL + code + END)


@case
def imported_anew():
    code = """
import sys
call()
for name in [n for n in sys.modules if n.split(".")[0] == "grpc" and n != "grpc._cython" and "cygrpc" not in n]:
    del sys.modules[name]
import grpc
server, channel = serve()
print(call())
"""
    here(CALL + code)


@case
def imports_of_what_is_not_there():
    code = """
import importlib.util
for name in ("grpc.missing", "grpcx", "grpc._channel.x"):
    try:
        __import__(name)
    except ImportError as error:
        print(type(error).__name__, error, error.name)
print(importlib.util.find_spec("grpc").loader.__class__.__name__, importlib.util.find_spec("grpc.missing"))
"""
    return fresh(code)


@case
def spec_and_loader_before_the_import():
    code = """
import importlib.util, pkgutil
spec = importlib.util.find_spec("grpc")
print(type(spec.loader).__name__, spec.name, spec.origin, spec.submodule_search_locations, spec.cached)
print(pkgutil.find_loader("grpc") is not None if hasattr(pkgutil, "find_loader") else "")
print(importlib.util.find_spec("grpc._channel").origin)
"""
    return fresh(code, "-W", "ignore")


@case
def run_as_a_module_and_from_stdin():
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-"],
        input=CALL + "print(call())" + END,
        stdout=-1,
        stderr=-1,
        check=False,
        text=True,
    )
    return [done.returncode, done.stdout, done.stderr, fresh("import runpy; runpy.run_module('this')")[1][:30]]


@case
def how_a_process_ends():
    ends = (
        "raise SystemExit('mine')",
        "raise KeyError('mine')",
        "import os; os._exit(4)",
        "import os; os.abort()",
    )
    return [fresh(CALL + "call()\n" + end) for end in ends]


@case
def functions_at_exit_run_in_their_order():
    code = """
import atexit
atexit.register(print, "first registered")
call()
atexit.register(print, "last registered")
"""
    here("import atexit; atexit.register(print, 'before all')\n" + CALL + code)


@case
def streams_that_are_closed():
    here(CALL + "import sys\nprint(call(), flush=True)\nsys.stderr.close(); sys.stdin.close()\ncall()" + END)


@case
def garbage_is_not_left():
    code = """
import gc
def alive():
    gc.collect()
    return sum(type(thing).__name__ in ("_RPCState", "_InactiveRpcError", "_MultiThreadedRendezvous") for thing in gc.get_objects())
for _ in range(20):
    call()
import time
end = time.time() + 30
while alive() > 1 and time.time() < end:
    time.sleep(0.05)
print(alive() <= 1, gc.garbage)
"""
    here(CALL + code + END)


@case
def profilers_and_tracers_work():
    code = """
import cProfile, sys
profile = cProfile.Profile()
print(profile.runcall(call))
seen = []
sys.settrace(lambda frame, event, argument: seen.append(event) or None)
call()
sys.settrace(None)
print(seen[0])
"""
    here(CALL + code + END)


@case
def recursion_is_as_deep():
    """Our frames take a few levels of the limit: far below the 100 that are left here."""
    code = """
import sys
def deep(levels):
    return deep(levels - 1) if levels else call()
print(deep(sys.getrecursionlimit() - 120))
"""
    here(CALL + code + END)

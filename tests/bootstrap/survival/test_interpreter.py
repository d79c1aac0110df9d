"""Subinterpreters, which grpc refuses, and imports of grpc that fail: what the application sees names nothing of ours."""

import sys

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.process import PAYLOAD, run, using_apps, wait

SUBINTERPRETERS = """
try:
    import _interpreters
    run = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as _interpreters
    run = _interpreters.run_string
CODE = '''
import sys
{inside}
print([name for name in sys.path if "payload" in name], flush=True)
'''
def elsewhere():
    interpreter = _interpreters.create()
    run(interpreter, CODE)
    _interpreters.destroy(interpreter)
from survival import *
elsewhere()
say(call(2))
elsewhere()
say(call(2))
"""
REFUSED = "try:\n    import grpc\nexcept ImportError as error:\n    print(str(error)[:60], flush=True)"


@pytest.mark.parametrize("version", ["3.11", "3.12"])
@pytest.mark.parametrize("inside", ["", REFUSED], ids=["without grpc", "that imports grpc"])
def test_subinterpreters(version, inside, starting, echo, receiver):
    python = interpreters.needed(version)
    if version != "{}.{}".format(*sys.version_info):
        python = interpreters.environment(python, "grpcio==1.62.3")
    code = using_apps(SUBINTERPRETERS.format(inside=inside))
    plain, ours = (
        starting(code, python=python, ECHO=echo, **options)
        for options in ({"payload": None}, {"endpoint": receiver.endpoint})
    )
    plain = wait(plain)
    assert plain.code == 0, plain
    assert wait(ours) == plain
    assert len(receiver.wait_for(lambda spans: len(spans) >= 4 and spans)) == 4


@pytest.mark.parametrize("text", ["raise ImportError('broken')", "import not_there", "1 / 0", "("])
def test_the_traceback_of_a_failed_import_of_grpc(text, tmp_path):
    (tmp_path / "grpc.py").write_text(text)
    code = "import traceback\ntry:\n import grpc\nexcept Exception: traceback.print_exc()"
    path = {"PYTHONPATH": str(tmp_path)}
    plain, ours = run(code, payload=None, **path), run(code, PYTHONPATH=f"{PAYLOAD}:{tmp_path}")
    assert plain.err
    assert ours == plain

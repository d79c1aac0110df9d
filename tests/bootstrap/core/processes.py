"""Applications with our core in them, each in a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PAYLOAD = Path(__file__).parents[3] / "sidecar" / "payload"
SETUP = """
import os, signal, sys, threading, time
sys.path.insert(0, {payload!r})
from _grpctracing import pipeline as module
from _grpctracing.call import Call
pipeline = module.create()
def call(name="C"):
    context, parent_id, sampled = pipeline.start(2, "/a.B/" + name, None)
    record = Call(2, "/a.B/" + name, "ipv4:127.0.0.1:1", context, parent_id, sampled)
    record.stop(0, "")
    pipeline.finish(record)
"""
# an application that has something to trace has imported grpc; imports are not what is tested or timed here
WARM = "import grpc, http.client\n"


def start(code, environ=(), python=sys.executable, before=WARM):
    program = before + SETUP.format(payload=str(PAYLOAD)) + textwrap.dedent(code)
    base = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "GRPC"))}
    environ = {**base, "OTEL_METRICS_EXPORTER": "none", **dict(environ)}
    return subprocess.Popen(
        [python, "-c", program], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(code, environ=(), **kwargs):
    process = start(code, environ, **kwargs)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err

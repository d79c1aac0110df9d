"""The preflight's probe on real interpreters: what it says of them, without importing what it looks for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.process import PAYLOAD

PROBE = PAYLOAD / "_grpctracing" / "probe.py"
PACKAGES = {
    "grpcio-1.60.0.dist-info": ("grpcio", "1.60.0"),
    "grpcio-1.30.0-py3.8-linux-x86_64.egg": ("grpcio", "1.30.0"),
    "grpcio-1.51.1.egg-info": ("grpcio", "1.51.1"),
    "ddtrace-2.1.dist-info": ("ddtrace", "2.1"),
    "newrelic-9.0.dist-info": ("newrelic", "9.0"),
    "opentelemetry_instrumentation_grpc-0.60b0.dist-info": ("opentelemetry-instrumentation-grpc", "0.60b0"),
}


def probe(tmp_path, python=sys.executable, **environ):
    """The report of *python*, run as the preflight pod runs it."""
    answer = tmp_path / "termination-log"
    done = subprocess.run(
        [python, PROBE, answer], check=False, env=environ, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return json.loads(answer.read_text())


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.13"])
def test_it_runs_on(version, tmp_path):
    report = probe(
        tmp_path, interpreters.needed(version), PYTHONPATH="/image/lib", OTEL_SERVICE_NAME="secret", HOME="/"
    )
    assert report["python"].startswith(version + ".")
    assert report["pythonpath"] == "/image/lib"
    assert report["variables"] == ["OTEL_SERVICE_NAME"]
    assert "secret" not in str(report)


@pytest.mark.parametrize("safe", [{}, {"PYTHONSAFEPATH": "1"}], ids=["usual path", "safe path"])
def test_the_first_folder_of_the_path_counts(safe, tmp_path):
    (tmp_path / "first" / "grpcio-1.60.0.dist-info").mkdir(parents=True)
    assert probe(tmp_path, PYTHONPATH=str(tmp_path / "first"), **safe)["grpcio"] == "1.60.0"


@pytest.mark.parametrize("folder", PACKAGES)
def test_packages_are_known_by_their_files(folder, tmp_path):
    name, version = PACKAGES[folder]
    (tmp_path / folder).mkdir()
    (tmp_path / "grpc").mkdir()
    (tmp_path / "grpc" / "__init__.py").write_text("raise SystemExit('imported')")
    report = probe(tmp_path, interpreters.find("3.13") or sys.executable, PYTHONPATH=str(tmp_path))
    assert {"grpcio": report["grpcio"], **report["agents"]}[name] == version


def test_a_grpc_that_was_copied_counts(tmp_path):
    (tmp_path / "grpc").mkdir()
    (tmp_path / "grpc" / "_grpcio_metadata.py").write_text('__version__ = """1.62.3"""')
    bare = interpreters.find("3.13")
    if bare is not None:
        assert probe(tmp_path, bare)["grpcio"] == "1.62.3", "in the working directory"


def test_the_grpcio_of_a_virtual_environment_is_seen(tmp_path):
    assert probe(tmp_path)["grpcio"] == __import__("grpc").__version__


def test_a_report_that_cannot_be_written_is_told_where_the_kubelet_looks_next(tmp_path):
    done = subprocess.run(
        [sys.executable, PROBE, tmp_path / "no" / "folder"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert json.loads(done.stderr)["version"] == 1


def test_more_than_a_message_may_hold_is_no_report(tmp_path):
    answer = tmp_path / "answer"
    environ = {"PYTHONPATH": "/long" * 1000}
    done = subprocess.run([sys.executable, PROBE, answer], check=False, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert not answer.exists()

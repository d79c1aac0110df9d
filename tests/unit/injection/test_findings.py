"""What a preflight pod has found, by its status as kubelets write it, and what outlives the operator of it."""

from __future__ import annotations

import json

import pytest

from grpctracing.injection.findings import Failure, Report, parse, read, text, unstarted
from grpctracing.injection.records import MOST, record, recorded, records_config_map
from tests.unit.injection.builders import container, deployment, tracing

REPORT = {
    "version": 1,
    "python": "3.11.9",
    "grpcio": "1.60.0",
    "elsewhere": None,
    "agents": {},
    "pythonpath": "/srv/lib",
    "variables": ["OTEL_SERVICE_NAME"],
    "libc": "glibc",
}
SEEN = Report((3, 11), "1.60.0", None, "/srv/lib", frozenset({"OTEL_SERVICE_NAME"}))
NO_PYTHON3 = (
    'failed to create containerd task: failed to create shim task: OCI runtime create failed: exec: "python3": '
    "executable file not found in $PATH: unknown"
)
NO_VENV = 'exec: "/opt/venv/bin/python": stat /opt/venv/bin/python: no such file or directory: unknown'


def ended(message="", code=0, reason="Completed"):
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def reported(**changes):
    return ended(json.dumps({**REPORT, **changes}))


def pod(*states, phase="Pending", **status):
    names = [f"probe-{number}" for number in range(len(states))]
    told = [{"name": name, "state": state} for name, state in zip(names, states, strict=True) if state is not None]
    return {
        "spec": {"containers": [{"name": name} for name in (*names, "mesh")]},
        "status": {"phase": phase, "containerStatuses": told, **status},
    }


ABSENT = ended(NO_PYTHON3, 128, "StartError")


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        pytest.param(pod(None, None), None, id="not started"),
        pytest.param(pod(reported(), {"running": {}}), None, id="one of two at work"),
        pytest.param(pod(reported(), ABSENT), SEEN, id="python3 but no python"),
        pytest.param(pod(ABSENT, reported(python="2.7.18", grpcio=None)), Report((2, 7), None, None, "/srv/lib", SEEN.variables), id="only an old python"),
        pytest.param(pod(reported(grpcio=None), reported()), SEEN, id="the interpreter that sees grpc runs the application"),
        pytest.param(pod(reported(python="3.12.1"), reported()), Report((3, 12), *[getattr(SEEN, n) for n in ("grpcio", "elsewhere", "pythonpath", "variables")]), id="of equals the likelier"),
        pytest.param(pod(ABSENT, ended(NO_VENV, 128, "StartError")), Report(), id="no interpreter: containerd"),
        pytest.param(pod(ended(NO_PYTHON3, 127, "ContainerCannotRun")), Report(), id="no interpreter: Docker"),
        pytest.param(pod(waiting("CreateContainerError", "executable file `python3` not found in $PATH: No such file or directory")), Report(), id="no interpreter: CRI-O"),
        pytest.param(pod(ended(json.dumps(REPORT), 1, "Error")), SEEN, id="the message file could not be written: the log has it"),
        pytest.param(pod({"running": {}}, phase="Failed", reason="DeadlineExceeded", message="too long"), Failure("DeadlineExceeded: too long"), id="past its deadline"),
        pytest.param(pod(reported(), {"running": {}}, phase="Failed", reason="DeadlineExceeded"), SEEN, id="past its deadline, but one has answered"),
        pytest.param(pod(ended("Killed", 137, "OOMKilled"), ABSENT), Failure("the probe ended with exit code 137 (OOMKilled): Killed"), id="killed"),
        pytest.param(pod(waiting("ImagePullBackOff", "not there"), None), Failure("ImagePullBackOff: not there", unpullable=True), id="no image"),
        pytest.param(pod(waiting("ErrImagePull", "tried once")), None, id="the first pull may fail"),
        pytest.param(pod(waiting("CreateContainerConfigError", "runAsNonRoot and image will run as root")), Failure("CreateContainerConfigError: runAsNonRoot and image will run as root"), id="not allowed to start"),
        pytest.param(pod(reported(version=9)), Failure(f"the probe ended with exit code 0 (Completed): {json.dumps({**REPORT, 'version': 9})[-300:]}"), id="a report of another release"),
        pytest.param(pod(ended("permission denied", 128, "StartError")), Failure("the probe ended with exit code 128 (StartError): permission denied"), id="an interpreter that may not be run is not none"),
    ],
)  # fmt: skip
def test_what_a_pod_has_found(given, finding):
    assert read(given) == finding


def test_why_a_pod_never_ran_is_told():
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
    assert "0/3 nodes fit" in unstarted(pod(None, conditions=[unscheduled])).why
    assert "ContainerCreating" in unstarted(pod(waiting("ContainerCreating"))).why


@pytest.mark.parametrize(
    "given",
    ["", "{", "[]", "null", '{"version": 1}', json.dumps({**REPORT, "python": "new"}), json.dumps({**REPORT, "variables": 3}),
     json.dumps({**REPORT, "pythonpath": "/\udc80"}), json.dumps({**REPORT, "agents": []})],
)  # fmt: skip
def test_what_is_no_report_is_none(given):
    assert parse(given) is None


@pytest.mark.parametrize("report", [SEEN, Report(), Report((2, 7), agents=(("ddtrace", "2.1"),), elsewhere="/x")])
def test_a_report_is_found_again(report):
    assert parse(text(report)) == report
    assert parse(record(report, "shop/app:1", "2026-01-01T00:00:00Z")) == report


def test_the_record_is_found_by_the_image_and_bounded():
    given = deployment(containers=[container(), container("worker", image="shop/other:1")])
    first = records_config_map(tracing(), {})
    assert recorded(first, given) == {"app": None, "worker": None}
    from grpctracing.injection.probing import digest

    key = digest(given["spec"]["template"]["spec"]["containers"][0])
    entries = {f"{number:020}": record(SEEN, "old", f"2026-01-01T00:00:00.{number}Z") for number in range(MOST)}
    entries[key] = record(SEEN, "shop/app:1", "2026-02-01T00:00:00Z")
    entries["torn"] = "{"
    full = records_config_map(tracing(), entries)
    assert len(full["data"]) == MOST
    assert "torn" not in full["data"]
    assert recorded(full, given) == {"app": SEEN, "worker": None}
    assert sum(map(len, full["data"].values())) < 900_000

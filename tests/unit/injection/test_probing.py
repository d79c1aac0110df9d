"""The preflight pod: where the application runs, as who it runs, and with nothing of what it has."""

from __future__ import annotations

import pytest

from grpctracing.injection import build, plan
from grpctracing.injection.probing import digest, interpreters, manifest
from tests.unit.injection.builders import OPT_IN, container, deployment, tracing
from tests.unit.injection.server import inject


@pytest.mark.parametrize(
    ("command", "tried"),
    [
        pytest.param(None, ("python3", "python"), id="the image's entry point"),
        pytest.param(["python", "-m", "shop"], ("python",), id="named"),
        pytest.param(["/opt/venv/bin/python3.11", "app.py"], ("/opt/venv/bin/python3.11",), id="named by its path"),
        pytest.param(["pypy3"], ("pypy3",), id="another one"),
        pytest.param(["/opt/venv/bin/gunicorn"], ("/opt/venv/bin/python3", "python3", "python"), id="beside it"),
        pytest.param(["/bin/sh", "-c", "exec python app.py"], ("python3", "python"), id="a shell says nothing"),
    ],
)
def test_which_interpreters_are_tried(command, tried):
    given = container() if command is None else container(command=command)
    assert interpreters(given) == tried


def full_deployment():
    app = container(
        env={
            "PATH": "/opt/venv/bin:/bin",
            "DATABASE_PASSWORD": "secret",
            "PYTHONHOME": "$(HOME)",
            "PYTHONPATH": "/lib",
        },
        imagePullPolicy="Always",
        workingDir="/srv",
        securityContext={
            "privileged": True,
            "runAsUser": 7,
            "capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        envFrom=[{"secretRef": {"name": "secret"}}],
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        livenessProbe={"exec": {"command": ["true"]}},
        ports=[{"containerPort": 1}],
    )
    given = deployment(containers=[app], volumes=[{"name": "data", "emptyDir": {}}], annotations=OPT_IN)
    given["spec"]["template"]["spec"] |= {
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "shop",
        "nodeSelector": {"pool": "blue"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"a": 1}, "podAntiAffinity": {"b": 1}},
        "securityContext": {"runAsNonRoot": True, "fsGroup": 7},
        "initContainers": [{"name": "init"}],
        "hostNetwork": True,
    }
    return given, app


def test_it_runs_where_and_as_who_the_application_runs_and_has_nothing_of_it():
    given, app = full_deployment()
    pod = manifest(given, app, tracing())
    spec = pod["spec"]
    assert pod["metadata"] == {
        "name": f"grpctracing-preflight-{digest(app)}",
        "namespace": "production",
        "labels": {
            "app.kubernetes.io/managed-by": "grpctracing",
            "app.kubernetes.io/component": "preflight",
            "grpctracing.dev/tracing": "default",
        },
        "annotations": pod["metadata"]["annotations"],
        "ownerReferences": [tracing().owner_reference],
    }
    assert pod["metadata"]["annotations"]["grpctracing.dev/inject"] == "false"
    assert len(pod["metadata"]["name"]) <= 63
    probes = spec.pop("containers")
    assert spec == {
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "blue"},
        "serviceAccountName": "shop",
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 120,
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "grpctracing-bootstrap", "configMap": {"name": "grpctracing-default-bootstrap"}}],
        "affinity": {"nodeAffinity": {"a": 1}},
        "securityContext": {"runAsNonRoot": True, "fsGroup": 7},
    }
    amounts = {"cpu": "200m", "memory": "128Mi"}
    assert probes[0] == {
        "name": "probe-0",
        "image": "shop/app:1",
        "imagePullPolicy": "Always",
        "workingDir": "/srv",
        "command": ["python3", "/grpctracing/_grpctracing.probe.py"],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "runAsUser": 7,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
            "allowPrivilegeEscalation": False,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "grpctracing-bootstrap", "mountPath": "/grpctracing", "readOnly": True}],
        "env": [{"name": "PATH", "value": "/opt/venv/bin:/bin"}, {"name": "PYTHONPATH", "value": "/lib"}],
    }
    assert [probe["command"][0] for probe in probes] == ["python3", "python"]
    assert "secret" not in str(pod)


def test_the_finding_is_that_of_the_image_whether_or_not_it_is_injected():
    given, app = full_deployment()
    after = inject(given, build(given, plan(given, tracing())))
    (injected,) = after["spec"]["template"]["spec"]["containers"]
    assert digest(injected) == digest(app)
    assert manifest(after, injected, tracing()) == manifest(given, app, tracing())


@pytest.mark.parametrize(
    "change",
    [
        {"image": "shop/app:2"},
        {"command": ["python2"]},
        {"workingDir": "/x"},
        {"env": [{"name": "PATH", "value": "/x"}]},
    ],
    ids=["image", "command", "folder", "path"],
)
def test_what_may_change_the_answer_is_asked_again(change):
    assert digest(container() | change) != digest(container())


def test_a_variable_that_changes_no_answer_asks_nothing_again():
    assert digest(container(env={"LOG_LEVEL": "debug"})) == digest(container())

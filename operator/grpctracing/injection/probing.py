"""The preflight pod: which interpreters it tries in which image, and its manifest.

It runs where and as the application would (image, pull secrets, user, node), and has nothing of what the application has:
no label that a selector of the user's could match, no token, no volume but the bootstrap, none of its variables but those
that choose the interpreter.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection import names
from grpctracing.injection.findings import PROBE, REPORT_VERSION
from grpctracing.injection.ledger import is_prefixed, original

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grpctracing.api import GrpcTracing

COMPONENT: Final = {"app.kubernetes.io/component": "preflight"}
DEADLINE: Final = 120
"""Seconds from the kubelet's taking up the pod, a pull of the image included."""
INTERPRETER: Final = re.compile(r"(python|pypy)[0-9.]*$")
USUAL: Final = ("python3", "python")
SYSTEM: Final = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
CHOOSING: Final = ("PATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", names.PYTHONPATH)
"""Variables of the container that decide which interpreter starts and what it finds. No others: they may be secrets."""
SCRIPT: Final = f"{names.MOUNT_PATH}/_grpctracing.probe.py"
OF_POD: Final = ("imagePullSecrets", "nodeSelector", "runtimeClassName", "serviceAccountName", "tolerations")
OF_CONTAINER: Final = ("image", "imagePullPolicy", "workingDir")
PRIVILEGES: Final = frozenset({"capabilities", "privileged", "procMount"})
RESOURCES: Final = {"cpu": "200m", "memory": "128Mi"}
# Whatever else makes changes to new pods has no business with this one.
ANNOTATIONS: Final = {
    names.INJECT: "false",
    "linkerd.io/inject": "disabled",
    "sidecar.istio.io/inject": "false",
    "sidecar.opentelemetry.io/inject": "false",
}


def interpreters(container: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the interpreters that may run the application, most likely first.

    A command that names one settles it. One that lies beside an interpreter (`/opt/venv/bin/gunicorn`) tells where to look
    first; else the image's entry point decides, which no manifest shows.
    """
    command = str((container.get("command") or [""])[0])
    folder, program = posixpath.split(command)
    if INTERPRETER.fullmatch(program):
        return (command,)
    beside = (f"{folder}/python3",) if folder.startswith("/") and folder not in SYSTEM else ()
    return beside + USUAL


def digest(container: Mapping[str, Any]) -> str:
    """Return what a finding is kept under: all that it depends on, by which the injected container is the same as before.

    The image counts by its name: one that is pushed anew under the same tag is not probed again.
    """
    parts = [REPORT_VERSION, container.get("image"), container.get("workingDir"), interpreters(container)]
    key = json.dumps([*parts, sorted(choosing(container))])
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def choosing(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the user's variables in CHOOSING, as far as they stand in the manifest as they are."""
    mounted = any(mount["name"] == names.VOLUME for mount in container.get("volumeMounts") or ())
    for entry in container.get("env") or ():
        name, value = entry["name"], entry.get("value")
        if name == names.PYTHONPATH and mounted and is_prefixed(entry):
            value = original(entry)
        if name in CHOOSING and value and "$(" not in value:
            yield name, value


def pod_name(key: str) -> str:
    """Return the name of the pod that finds what is kept under *key*."""
    return f"grpctracing-preflight-{key}"


def manifest(deployment: Mapping[str, Any], container: Mapping[str, Any], tracing: GrpcTracing) -> dict[str, Any]:
    """Return the pod that probes *container* of *deployment*, for its GrpcTracing's account."""
    pod = deployment["spec"]["template"]["spec"]
    key = digest(container)
    metadata = {
        "name": pod_name(key),
        "namespace": deployment["metadata"]["namespace"],
        "labels": {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.TRACING_LABEL: tracing.metadata.name} | COMPONENT,
        "annotations": dict(ANNOTATIONS),
        "ownerReferences": [tracing.owner_reference],
    }
    config_map = {"name": names.config_map_name(tracing.metadata.name)}
    spec: dict[str, Any] = {
        **{field: pod[field] for field in OF_POD if field in pod},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE,
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": names.VOLUME, "configMap": config_map}],
        "containers": [
            probe(container, interpreter, f"{PROBE}{number}")
            for number, interpreter in enumerate(interpreters(container))
        ],
    }
    if node_affinity := (pod.get("affinity") or {}).get("nodeAffinity"):
        spec["affinity"] = {"nodeAffinity": node_affinity}
    if context := pod.get("securityContext"):
        spec["securityContext"] = context
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def probe(container: Mapping[str, Any], interpreter: str, name: str) -> dict[str, Any]:
    """Return one container of the pod."""
    made: dict[str, Any] = {
        "name": name,
        **{field: container[field] for field in OF_CONTAINER if field in container},
        "command": [interpreter, SCRIPT],
        "resources": {"requests": RESOURCES, "limits": RESOURCES},
        "securityContext": unprivileged(container.get("securityContext") or {}),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": names.VOLUME, "mountPath": names.MOUNT_PATH, "readOnly": True}],
    }
    if env := [{"name": variable, "value": value} for variable, value in choosing(container)]:
        made["env"] = env
    return made


def unprivileged(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container's security context without what gives it more than reading its own image takes."""
    kept = {field: value for field, value in context.items() if field not in PRIVILEGES}
    if drop := (context.get("capabilities") or {}).get("drop"):
        kept["capabilities"] = {"drop": drop}
    return kept | {"allowPrivilegeEscalation": False}

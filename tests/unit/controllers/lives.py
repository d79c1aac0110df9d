"""Workloads as the controllers' tests have them, and the verdict on one that is well."""

from __future__ import annotations

from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube.resources import Key

A, B = Key("production", "a"), Key("production", "b")
DB = Key("production", "db", "StatefulSet")
TRACING = Key("production", "default")
PATCH = {"metadata": {"resourceVersion": "1"}, "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}}


def deployment(name="a", *, image="1", complete=True, **status):
    replicas = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 if complete else 1, "observedGeneration": 1}
    return {
        "metadata": {"name": name, "namespace": "production", "uid": name, "generation": 1, "resourceVersion": "1"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        "status": replicas | status,
    }


def stateful_set(image="1", *, updated=3, available=3, **spec):
    made = deployment("db", image=image, replicas=3, updatedReplicas=updated, availableReplicas=available)
    return made | {"kind": "StatefulSet", "spec": made["spec"] | {"replicas": 3, "selector": {}} | spec}


def verdict(state=State.INJECTED, **more):
    return Verdict(Action.NOTHING, state, Reason.NO_SPANS_YET, tracing="default", **more)

"""GrpcTracing objects for tests: everything that a case does not speak of has a default."""

from __future__ import annotations

from typing import Any

from grpctracing.api import API_VERSION, KIND, GrpcTracing


def manifest(
    spec: dict[str, Any] | None = None, *, name: str = "default", namespace: str = "default"
) -> dict[str, Any]:
    """Return what a user would apply."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec or {},
    }


def tracing(spec: dict[str, Any] | None = None, *, name: str = "default", namespace: str = "production") -> GrpcTracing:
    """Return the model of an object as the API server would give it back."""
    stored = manifest(spec, name=name, namespace=namespace)
    stored["metadata"] |= {"uid": "6a1f0000-0000-4000-8000-000000000001", "generation": 1}
    return GrpcTracing.model_validate(stored)


def collector(**managed: Any) -> GrpcTracing:
    """Return a GrpcTracing whose managed Collector has these fields."""
    return tracing({"collector": {"managed": managed}})

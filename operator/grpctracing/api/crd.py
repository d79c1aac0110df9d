"""The CustomResourceDefinition around the schema: names, scope, printer columns, status subresource."""

from __future__ import annotations

from typing import Any, Final

import yaml

from grpctracing.api.schema import structural
from grpctracing.api.tracing import GROUP, KIND, PLURAL, VERSION, GrpcTracing

COLUMNS: Final = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether every matched workload is traced."),
    ("Matched", "integer", ".status.counts.matched", "Workloads that this object is for."),
    ("Instrumented", "integer", ".status.counts.instrumented", "Workloads whose spans have arrived."),
    ("Sampler", "string", ".spec.sampler.type", "Head sampler."),
    ("Age", "date", ".metadata.creationTimestamp", "Time since creation."),
)
HEADER: Final = "# Written by `make crds` from operator/grpctracing/api. Change it there.\n"


def schema() -> dict[str, Any]:
    """Return the structural schema of the whole object."""
    whole = structural(GrpcTracing)
    properties = whole["properties"]
    for name, text in (
        ("apiVersion", f"{GROUP}/{VERSION}"),
        ("kind", KIND),
    ):
        properties[name] = {"type": "string", "description": f"{text}."}
    properties["metadata"] = {"type": "object"}  # the API server has its own schema for it
    properties["status"] = _defaultless(properties["status"])
    whole["required"] = ["metadata", "spec"]
    return whole


def _defaultless(node: dict[str, Any]) -> dict[str, Any]:
    """Drop defaults below status: what the operator has not written must not look like something it has seen."""
    bare = {key: value for key, value in node.items() if key != "default"}
    if "properties" in bare:
        bare["properties"] = {name: _defaultless(child) for name, child in bare["properties"].items()}
    return bare


def definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["gtr"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "description": text}
                        for name, kind, path, text in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": schema()},
                }
            ],
        },
    }


class _Plain(yaml.SafeDumper):
    """Writes every node out: anchors would be shorter, and unreadable in a diff."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        """Return True: no node is written as an alias."""
        return True


def text() -> str:
    """Return the CRD as YAML with its header."""
    body = yaml.dump(definition(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return HEADER + body

"""What the users of every tool do, step by step, and the manifest that they have then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "payment-service"
LABELS = {"app": NAME}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A state of the manifest. Variables map names to a value, or to a `valueFrom`; no *worker* is no second container."""

    image: int = 1
    app: Mapping[str, Any] = field(default_factory=lambda: {"LOG_LEVEL": "info", "LOG_NAME": "payment-$(LOG_LEVEL)"})
    worker: Mapping[str, Any] | None = None
    opted_out: bool = False
    bootstrap: bool = True

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return the containers by name."""
        found = {"app": {"name": "app", "image": f"registry.invalid/{NAME}:{self.image}", "env": entries(self.app)}}
        if self.worker is not None:
            found["worker"] = {"name": "worker", "image": "registry.invalid/worker:1", "env": entries(self.worker)}
        return found

    def manifest(self) -> dict[str, Any]:
        """Return the manifest, without a namespace."""
        annotations = {"team": "payments"}
        annotations |= {"grpctracing.dev/inject": "false"} if self.opted_out else {}
        annotations |= {} if self.bootstrap else {"grpctracing.dev/bootstrap": "false"}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "labels": LABELS, "annotations": annotations},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [*self.containers().values()]}},
            },
        }


def entries(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return *variables* as a manifest has them."""
    return [
        {"name": name, "value" if isinstance(value, str) else "valueFrom": value} for name, value in variables.items()
    ]


@dataclass(frozen=True, slots=True)
class Step:
    """What a user does, as a heading of the table, and what the manifest is from then on."""

    name: str
    title: str
    wanted: Wanted
    back: bool = False
    """The tool's own way to take back the step before."""


def steps() -> tuple[Step, ...]:
    """Return the scenario. A container of ours comes and goes with a name of ours in it: the case that wedges appliers."""
    first = Wanted()
    image = replace(first, image=2)
    variable = replace(image, app={**image.app, "LOG_FORMAT": "json"})
    container = replace(variable, worker={"QUEUE": "mail"})
    sampler = {"OTEL_TRACES_SAMPLER": "always_on"}
    ours = replace(container, app={**container.app, **sampler}, worker={"QUEUE": "mail", **sampler})
    source = {"OTEL_SERVICE_NAME": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['app']"}}}
    sourced = replace(container, app={**container.app, **source})
    removed = replace(sourced, worker=None)
    out = replace(sourced, opted_out=True)
    return (
        Step("create", "creates it", first),
        Step("again", "applies the same", first),
        Step("image", "changes the image", image),
        Step("variable", "adds a variable", variable),
        Step("container", "adds a container", container),
        Step("ours", "sets a name that we set, in both", ours),
        Step("not ours", "removes that name", container),
        Step("source", "sets one by `valueFrom`", sourced),
        Step("removal", "removes the container", removed),
        Step("back", "rolls that back", sourced, back=True),
        Step("out", "opts out", out),
        Step("after", "applies the same", out),
    )


STEPS = steps()

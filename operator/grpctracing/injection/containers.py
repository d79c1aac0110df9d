"""Which containers of a Deployment are instrumented, and how each: with the bootstrap, or with variables only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.kinds import kind_of
from grpctracing.injection.select import annotation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing


class Refusal(Exception):  # noqa: N818 - an answer for the user, not a fault of the program
    """Why a Deployment can't be instrumented as asked; *reason* is a value of `verdict.Reason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def choose(deployment: Mapping[str, Any], *, blind: bool = False) -> tuple[str, ...]:
    """Return the names of the containers to instrument, in the Deployment's order.

    *blind*: what a container takes from ConfigMaps and Secrets by `envFrom` can't be seen, and one of our names could
    hide a name of the user's there; so such a container has to be asked for by name.

    Raises Refusal when the annotation names a container that does not exist (a verdict, never a guess), or when only
    known sidecars are there.
    """
    present = [container["name"] for container in deployment["spec"]["template"]["spec"]["containers"]]
    wish = annotation(deployment, names.CONTAINERS)
    if wish is None:
        chosen = tuple(name for name in present if name not in names.SIDECARS)
        if not chosen:
            raise Refusal(
                "OnlySidecars",
                f"All containers ({', '.join(present)}) are known sidecars. To instrument one, name it in the "
                f"annotation {names.CONTAINERS}.",
            )
        return seen_through(deployment, chosen) if blind else chosen
    asked = {name.strip() for name in wish.split(",") if name.strip()}
    unknown = sorted(asked - set(present))
    if unknown or not asked:
        raise Refusal(
            "UnknownContainer",
            f'{names.CONTAINERS}: "{wish}" names {", ".join(unknown) or "no container"}; '
            f"this {kind_of(deployment).name} has {', '.join(present)}.",
        )
    return tuple(name for name in present if name in asked)


def seen_through(deployment: Mapping[str, Any], chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *chosen* that take no variables by `envFrom`; raises Refusal where all do."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    unseen = {container["name"] for container in containers if container.get("envFrom")}
    if left := tuple(name for name in chosen if name not in unseen):
        return left
    raise Refusal(
        "VariablesUnseen",
        f"{', '.join(chosen)}: takes variables from ConfigMaps or Secrets (envFrom), which a policy can't see. If no OTEL_ "
        f"variable is among them, name it in the annotation {names.CONTAINERS} of the pod template.",
    )


def wants_bootstrap(deployment: Mapping[str, Any], tracing: GrpcTracing) -> bool:
    """Tell whether the Python bootstrap travels too; raises Refusal for an annotation that is neither true nor false."""
    wish = annotation(deployment, names.BOOTSTRAP)
    if wish is None:
        return tracing.spec.bootstrap.enabled
    if wish.lower() not in {"true", "false"}:
        raise Refusal("InvalidAnnotation", f'{names.BOOTSTRAP}: "{wish}" is neither "true" nor "false".')
    return wish.lower() == "true"


def service_name(deployment: Mapping[str, Any]) -> str:
    """Return `service.name`: the annotation, else the label `app.kubernetes.io/name`, else the Deployment's name."""
    labels = deployment["metadata"].get("labels") or {}
    metadata = deployment["metadata"]
    return annotation(deployment, names.SERVICE_NAME) or labels.get(names.NAME_LABEL) or str(metadata["name"])

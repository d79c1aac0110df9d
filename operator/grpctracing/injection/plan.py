"""What each container is to carry: the environment minus every name that its user has set, and what goes with it (`offers`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.containers import Refusal, choose, service_name, wants_bootstrap
from grpctracing.injection.environment import environment
from grpctracing.injection.ledger import original, owned, prefix
from grpctracing.injection.offers import PINS, Entry, offers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grpctracing.api import GrpcTracing


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """What one container is to carry: *env* in writing order; *kept* are the names that its user set."""

    name: str
    env: tuple[Entry, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a Deployment is to carry. *volume* is None where no container gets the bootstrap."""

    service: str
    containers: tuple[ContainerPlan, ...]
    volume: Entry | None = None
    would_write: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)


def plan(
    deployment: Mapping[str, Any],
    tracing: GrpcTracing,
    inherited: Mapping[str, frozenset[str]] | None = None,
    *,
    by_policy: bool = False,
) -> Plan:
    """Return what *deployment* is to carry for *tracing*.

    *inherited* gives, per container, names that the user sets by way of `envFrom`: they count as the user's; *by_policy*
    says it of pods, which a policy changes: then nobody has looked (`choose`), and a variable that is there twice does no
    harm, for it stays where it is. Raises
    Refusal when it can't be done without touching what is the user's.
    """
    chosen = choose(deployment, blind=by_policy)
    bootstrap = wants_bootstrap(deployment, tracing)
    service = service_name(deployment)
    pod = deployment["spec"]["template"]["spec"]
    live = {container["name"]: container for container in pod["containers"]}
    metadata = deployment["metadata"]
    full = {
        name: environment(
            tracing, namespace=metadata["namespace"], deployment=metadata["name"], container=name, service=service
        )
        for name in chosen
    }
    would_write = {name: {entry["name"]: entry for entry in entries} for name, entries in full.items()}
    for name in chosen:
        if not by_policy:
            refuse_duplicates(live[name])
        if bootstrap:
            refuse_if_taken(live[name], pod.get("volumes") or (), (inherited or {}).get(name) or frozenset())
    plans = []
    for name in chosen:
        ours = owned(deployment, live[name], would_write[name])
        user = {entry["name"]: entry for entry in live[name].get("env") or () if entry["name"] not in ours}
        taken = user.keys() | ((inherited or {}).get(name) or frozenset())
        env = subtract(full[name], taken, user)
        if bootstrap:
            env += bootstrap_env(live[name], taken, ours)
        plans.append(ContainerPlan(name, tuple(env), tuple(sorted(taken & would_write[name].keys()))))
    volume = {"name": names.VOLUME, "configMap": source(tracing)} if bootstrap else None
    return Plan(service, tuple(plans), volume, would_write)


def source(tracing: GrpcTracing) -> Entry:
    """Return the volume's source. Optional: no fault of ours can keep a pod from starting."""
    return {"name": names.config_map_name(tracing.metadata.name), "optional": True}


def subtract(entries: Sequence[Entry], taken: frozenset[str] | set[str], user: Mapping[str, Entry]) -> list[Entry]:
    """Return *entries* without the names in *taken* and those that follow from them."""
    return [offer.entry for offer in offers(entries) if offer.holds(taken, user)]


def bootstrap_env(container: Mapping[str, Any], taken: frozenset[str] | set[str], ours: frozenset[str]) -> list[Entry]:
    """Return what only containers with the bootstrap carry."""
    entries = [pin.entry for pin in PINS if pin.holds(taken, {})]
    live = next((entry for entry in container.get("env") or () if entry["name"] == names.PYTHONPATH), None)
    if live is not None and names.PYTHONPATH in ours:
        value = original(live)
        live = None if value is None else {"name": names.PYTHONPATH, "value": value}
    return [*entries, {"name": names.PYTHONPATH, "value": prefix(live)}]


def refuse_duplicates(container: Mapping[str, Any]) -> None:
    """Raise Refusal for a variable that stands there twice: the API server would move its copies, so no way led back."""
    names_there = [entry["name"] for entry in container.get("env") or ()]
    twice = sorted({name for name in names_there if names_there.count(name) > 1})
    if twice:
        raise Refusal(
            "DuplicateVariable",
            f'container "{container["name"]}" sets {", ".join(twice)} more than once; only the last counts. Remove the others.',
        )


def refuse_if_taken(
    container: Mapping[str, Any], volumes: Sequence[Mapping[str, Any]], inherited: frozenset[str]
) -> None:
    """Raise Refusal where the bootstrap's place is occupied by something of the user's."""
    where = f'container "{container["name"]}"'
    explicit = [entry for entry in container.get("env") or () if entry["name"] == names.PYTHONPATH]
    if any(entry.get("valueFrom") for entry in explicit) or (not explicit and names.PYTHONPATH in inherited):
        raise Refusal(
            "PythonPathFromSource",
            f"{where} takes PYTHONPATH from a ConfigMap, Secret or field, so its value can't be kept. Write it as a "
            f"plain value, or annotate the Deployment {names.BOOTSTRAP}=false.",
        )
    for mount in container.get("volumeMounts") or ():
        if mount["mountPath"].rstrip("/") == names.MOUNT_PATH and mount["name"] != names.VOLUME:
            raise Refusal(
                "MountPathTaken",
                f'{where} mounts volume "{mount["name"]}" at {names.MOUNT_PATH}, where the bootstrap would go. Mount it '
                f"elsewhere, or annotate the Deployment {names.BOOTSTRAP}=false.",
            )
    for volume in volumes:
        if volume["name"] == names.VOLUME and not is_our_volume(volume):
            raise Refusal(
                "VolumeNameTaken",
                f'the Deployment has a volume "{names.VOLUME}" of its own. Rename it, or annotate the Deployment '
                f"{names.BOOTSTRAP}=false.",
            )


def is_our_volume(volume: Mapping[str, Any]) -> bool:
    """Tell our volume from one of the user's that bears its name."""
    config_map = volume.get("configMap") or {}
    name = str(config_map.get("name", ""))
    return volume["name"] == names.VOLUME and name.startswith("grpctracing-") and name.endswith("-bootstrap")

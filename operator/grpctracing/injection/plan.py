"""What each container is to carry: the environment minus every name that its user has set, and what goes with it (`offers`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.containers import Refusal, choose, service_name, wants_bootstrap
from grpctracing.injection.environment import environment, escape
from grpctracing.injection.findings import Report
from grpctracing.injection.fitness import fit
from grpctracing.injection.kinds import kind_of
from grpctracing.injection.ledger import of_image, original, owned, prefix
from grpctracing.injection.offers import PINS, Entry, offers
from grpctracing.injection.select import annotation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.findings import Finding
    from grpctracing.injection.fitness import Probed


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """What one container is to carry: *env* in writing order; *kept* are the names that its user set.

    *bootstrap*: the volume is mounted, where there is one.
    """

    name: str
    env: tuple[Entry, ...]
    kept: tuple[str, ...] = ()
    bootstrap: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What a Deployment is to carry. *volume* is None where no container gets the bootstrap."""

    service: str
    containers: tuple[ContainerPlan, ...]
    volume: Entry | None = None
    would_write: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    without_python: tuple[str, ...] = ()
    """Containers that get the variables alone, because the preflight found no Python in their image."""
    left_out: tuple[str, ...] = ()
    """Why other containers that were asked for are left as they are."""


def plan(
    deployment: Mapping[str, Any],
    tracing: GrpcTracing,
    inherited: Mapping[str, frozenset[str]] | None = None,
    probed: Probed | None = None,
    *,
    by_policy: bool = False,
) -> Plan:
    """Return what *deployment* is to carry for *tracing*.

    *inherited* gives, per container, names that the user sets by way of `envFrom`: they count as the user's, as do those
    that *probed* has found in the image. *by_policy* says it of pods, which a policy changes: then nobody has looked
    (`choose`), and a variable that is there twice does no harm, for it stays where it is. Raises Refusal when it can't be
    done without touching what is the user's, or when no container is fit for it.
    """
    asked = choose(deployment, blind=by_policy)
    bootstrap = wants_bootstrap(deployment, tracing)
    service = service_name(deployment)
    pod = deployment["spec"]["template"]["spec"]
    live = {container["name"]: container for container in pod["containers"]}
    findings = (probed or {}) if bootstrap else {}
    fits = {name: fit(live[name], findings.get(name), insisted=insists(deployment, live[name])) for name in asked}
    chosen = tuple(name for name in asked if fits[name].variables)
    unfit = [fits[name] for name in asked if not fits[name].variables]
    if not chosen:
        raise Refusal(unfit[0].reason, " ".join(item.message for item in unfit))
    mounting = {name for name in chosen if bootstrap and fits[name].bootstrap}
    full = {name: environment_of(deployment, tracing, name, service) for name in chosen}
    would_write = {name: {entry["name"]: entry for entry in entries} for name, entries in full.items()}
    for name in chosen:
        if not by_policy:
            refuse_duplicates(live[name])
        if name in mounting:
            refuse_if_taken(live[name], pod.get("volumes") or (), (inherited or {}).get(name) or frozenset())
    plans = []
    for name in chosen:
        finding = findings.get(name)
        ours = owned(deployment, live[name], would_write[name])
        user = {entry["name"]: entry for entry in live[name].get("env") or () if entry["name"] not in ours}
        taken = user.keys() | ((inherited or {}).get(name) or frozenset()) | image_variables(finding)
        env = subtract(full[name], taken, user)
        if name in mounting:
            env += bootstrap_env(live[name], taken, ours, finding)
        plans.append(ContainerPlan(name, tuple(env), tuple(sorted(taken & would_write[name].keys())), name in mounting))
    volume = {"name": names.VOLUME, "configMap": source(tracing)} if mounting else None
    without_python = tuple(name for name in chosen if bootstrap and name not in mounting)
    return Plan(service, tuple(plans), volume, would_write, without_python, tuple(item.message for item in unfit))


def insists(deployment: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """Tell whether *container* keeps the bootstrap whatever its image has: the user asks for it, or it is there already.

    Where it has no place it stands aside by itself, so taking it out again would be a restart for nothing.
    """
    mounted = any(mount["name"] == names.VOLUME for mount in container.get("volumeMounts") or ())
    return mounted or annotation(deployment, names.BOOTSTRAP) is not None


def environment_of(deployment: Mapping[str, Any], tracing: GrpcTracing, container: str, service: str) -> list[Entry]:
    """Return what a container would carry if its user had set nothing."""
    metadata = deployment["metadata"]
    return environment(
        tracing,
        namespace=metadata["namespace"],
        workload=(kind_of(deployment).attribute, metadata["name"]),
        container=container,
        service=service,
    )


def image_variables(finding: Finding | None) -> frozenset[str]:
    """Return the OTEL_* names that the image sets: as much the user's as those in the Deployment."""
    return finding.variables if isinstance(finding, Report) else frozenset()


def source(tracing: GrpcTracing) -> Entry:
    """Return the volume's source. Optional: no fault of ours can keep a pod from starting."""
    return {"name": names.config_map_name(tracing.metadata.name), "optional": True}


def subtract(entries: Sequence[Entry], taken: frozenset[str] | set[str], user: Mapping[str, Entry]) -> list[Entry]:
    """Return *entries* without the names in *taken* and those that follow from them."""
    return [offer.entry for offer in offers(entries) if offer.holds(taken, user)]


def bootstrap_env(
    container: Mapping[str, Any], taken: frozenset[str] | set[str], ours: frozenset[str], finding: Finding | None = None
) -> list[Entry]:
    """Return what only containers with the bootstrap carry."""
    entries = [pin.entry for pin in PINS if pin.holds(taken, {})]
    live = next((entry for entry in container.get("env") or () if entry["name"] == names.PYTHONPATH), None)
    # Where nothing is known of the image, what was found in the last one stays: the last good state, not a guess.
    image = of_image(live) if live is not None and names.PYTHONPATH in ours else ""
    if isinstance(finding, Report):
        image = escape(finding.pythonpath)
    if live is not None and names.PYTHONPATH in ours:
        value = original(live)
        live = None if value is None else {"name": names.PYTHONPATH, "value": value}
    return [*entries, {"name": names.PYTHONPATH, "value": prefix(live, image)}]


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
            f"plain value, or annotate the workload {names.BOOTSTRAP}=false.",
        )
    for mount in container.get("volumeMounts") or ():
        if mount["mountPath"].rstrip("/") == names.MOUNT_PATH and mount["name"] != names.VOLUME:
            raise Refusal(
                "MountPathTaken",
                f'{where} mounts volume "{mount["name"]}" at {names.MOUNT_PATH}, where the bootstrap would go. Mount it '
                f"elsewhere, or annotate the workload {names.BOOTSTRAP}=false.",
            )
    for volume in volumes:
        if volume["name"] == names.VOLUME and not is_our_volume(volume):
            raise Refusal(
                "VolumeNameTaken",
                f'the workload has a volume "{names.VOLUME}" of its own. Rename it, or annotate the workload '
                f"{names.BOOTSTRAP}=false.",
            )


def is_our_volume(volume: Mapping[str, Any]) -> bool:
    """Tell our volume from one of the user's that bears its name."""
    config_map = volume.get("configMap") or {}
    name = str(config_map.get("name", ""))
    return volume["name"] == names.VOLUME and name.startswith("grpctracing-") and name.endswith("-bootstrap")

"""From the live Deployment and a plan to one strategic-merge patch; going back is the same with no plan.

Strategic merge and not server-side apply: as an applier we would co-own the user's containers, and whoever owns them would
no longer get rid of one (research: 422 on each later apply). `$setElementOrder` keeps every list in the user's order with
ours behind. The patch carries uid and resourceVersion, so it never lands on anything but what was looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.ledger import original, owned, same
from grpctracing.injection.plan import Plan, is_our_volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Item = Mapping[str, Any]

ORDER = "$setElementOrder/"


def build(
    deployment: Mapping[str, Any], wanted: Plan | None, *, remembered: Plan | None = None
) -> dict[str, Any] | None:
    """Return the patch that brings *deployment* to *wanted* (None: to carrying nothing of ours), or None when it is there.

    *remembered* is the plan that was last in force, if still known: it tells what would have been ours where
    managedFields has lost it.
    """
    pod = deployment["spec"]["template"]["spec"]
    reference = wanted or remembered
    plans = {item.name: item.env for item in wanted.containers} if wanted else {}
    mounting = {item.name for item in wanted.containers if item.bootstrap} if wanted and wanted.volume else set()
    our_volume = next((volume for volume in pod.get("volumes") or () if is_our_volume(volume)), None)
    changes = []
    for container in pod["containers"]:
        name = container["name"]
        would_write = reference.would_write.get(name, {}) if reference else {}
        ours = owned(deployment, container, would_write)
        change = env_patch(container, ours, plans.get(name, ()), live=name in mounting)
        change |= mount_patch(container, wanted=name in mounting, ours=our_volume is not None)
        if change:
            changes.append({"name": name} | change)
    spec: dict[str, Any] = {}
    if changes:
        spec[ORDER + "containers"] = [{"name": container["name"]} for container in pod["containers"]]
        spec["containers"] = changes
    spec |= volume_patch(pod.get("volumes") or (), our_volume, wanted.volume if wanted else None)
    if not spec:
        return None
    metadata = deployment["metadata"]
    precondition = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
    return {"metadata": precondition, "spec": {"template": {"spec": spec}}}


def env_patch(container: Item, ours: frozenset[str], wanted: Sequence[Item], *, live: bool) -> dict[str, Any]:
    """Return the part about `env`. With *live*, a difference that settings.json carries is no reason for a patch."""
    present: list[Item] = list(container.get("env") or ())
    current = {entry["name"]: entry for entry in present}
    target = {entry["name"]: entry for entry in wanted}
    writes = [
        replacing(entry, current.get(name)) for name, entry in target.items() if differs(current.get(name), entry)
    ]
    for name in sorted(ours - target.keys()):
        if name == names.PYTHONPATH and (before := original(current[name])) is not None:
            target[name] = {"name": name, "value": before}
            writes.append({"name": name, "value": before or None})
    deletes = [{"name": name, "$patch": "delete"} for name in sorted(ours - target.keys())]
    touched = {entry["name"] for entry in writes + deletes}
    if not touched or (live and touched <= names.LIVE):
        return {}
    order = unique([entry["name"] for entry in present if in_users_place(entry, ours, target)] + list(target))
    writes.sort(key=lambda entry: order.index(entry["name"]))
    return {ORDER + "env": [{"name": name} for name in order], "env": writes + deletes}


def in_users_place(entry: Item, ours: frozenset[str], target: Mapping[str, Item]) -> bool:
    """Tell whether *entry* keeps its place: the user's do, and a PYTHONPATH of theirs with ours in front."""
    name = entry["name"]
    if name not in ours:
        return True
    return name == names.PYTHONPATH and name in target and original(entry) is not None


def differs(live: Item | None, entry: Item) -> bool:
    """Tell whether *entry* must be written."""
    return live is None or not same(live, entry)


def replacing(entry: Item, live: Item | None) -> dict[str, Any]:
    """Return *entry* as a patch item over *live*: the other of `value` and `valueFrom` has to go."""
    item = dict(entry)
    if live is not None:
        if "valueFrom" in live and "valueFrom" not in entry:
            item["valueFrom"] = None
        if "value" in live and "value" not in entry:
            item["value"] = None
    return item


def mount_patch(container: Item, *, wanted: bool, ours: bool) -> dict[str, Any]:
    """Return the part about `volumeMounts`; *ours* tells whether the volume of our name is ours, and so its mount."""
    mounts: list[Item] = list(container.get("volumeMounts") or ())
    present = ours and any(mount["mountPath"] == names.MOUNT_PATH and mount["name"] == names.VOLUME for mount in mounts)
    if present == wanted:
        return {}
    others = [{"mountPath": mount["mountPath"]} for mount in mounts if mount["mountPath"] != names.MOUNT_PATH]
    if not wanted:
        return {
            ORDER + "volumeMounts": others,
            "volumeMounts": [{"mountPath": names.MOUNT_PATH, "$patch": "delete"}],
        }
    return {
        ORDER + "volumeMounts": [*others, {"mountPath": names.MOUNT_PATH}],
        "volumeMounts": [{"name": names.VOLUME, "mountPath": names.MOUNT_PATH, "readOnly": True}],
    }


def volume_patch(volumes: Sequence[Item], live: Item | None, wanted: Item | None) -> dict[str, Any]:
    """Return the part about `volumes`; *live* is ours among them, if it is there."""
    others = [{"name": volume["name"]} for volume in volumes if volume is not live]
    if wanted is None:
        if live is None:
            return {}
        return {ORDER + "volumes": others, "volumes": [{"name": names.VOLUME, "$patch": "delete"}]}
    if live is not None and all(live["configMap"].get(key) == value for key, value in wanted["configMap"].items()):
        return {}
    return {ORDER + "volumes": [*others, {"name": names.VOLUME}], "volumes": [dict(wanted)]}


def unique(items: Iterable[str]) -> list[str]:
    """Return *items* without repetitions, in order."""
    return list(dict.fromkeys(items))

"""Objects that we own: made, kept as they should be, never taken from anybody.

Server-side apply is right here and wrong on a user's Deployment: these objects are ours alone. Nothing is sent while the
live object has the hash of what we want and still says it; the API server's defaults on top do not matter.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from grpctracing.api.quantity import amount
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import BY_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON, Resource

APPLIED: Final = "grpctracing.dev/applied"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "grpctracing"
OWNED_SELECTOR: Final = f"{MANAGED_BY}={MANAGER}"
EXACT: Final = ("data", "binaryData")
"""Parts in which a foreign key is drift too: every file in the bootstrap's ConfigMap is code in somebody's process."""


class NameTaken(Exception):  # noqa: N818 - a fact about the namespace, not a fault
    """An object of that name is somebody else's; it is never touched."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f'{kind} "{name}" exists and is not ours')
        self.kind = kind
        self.name = name


async def ensure(client: Client, desired: JSON, live: JSON | None) -> JSON | None:
    """Bring one owned object to *desired*; *live* is what the cache has (None: nothing of ours by that name).

    Returns the object as written, or None when there was nothing to do. Raises NameTaken, ApiError.
    """
    resource = BY_KIND[desired["kind"]]
    metadata = desired["metadata"]
    body = stamped(desired)
    if live is None:
        # The cache holds only what carries our label: somebody else's object is seen only by asking for it.
        live = await find(client, resource, metadata.get("namespace", ""), metadata["name"])
    if live is None:
        try:
            # Without force: should anybody create it in this very moment, theirs stays as it is.
            return await client.apply(resource, body, force=False)
        except errors.Conflict as error:
            raise NameTaken(desired["kind"], metadata["name"]) from error
    if not is_owned(live, desired):
        raise NameTaken(desired["kind"], metadata["name"])
    if live["metadata"].get("deletionTimestamp"):
        raise errors.Conflict(0, f'{desired["kind"]} "{metadata["name"]}" is still being deleted')
    written = None
    if is_stale(body, live):
        body["metadata"]["uid"] = live["metadata"]["uid"]
        written = await client.apply(resource, body, force=True)
    if extra := foreign_keys(desired, live):
        written = await client.patch(resource, metadata["namespace"], metadata["name"], extra, kind=MERGE)
    return written


async def find(client: Client, resource: Resource, namespace: str, name: str) -> JSON | None:
    """Return a live object, or None."""
    try:
        return await client.get(resource, namespace, name)
    except errors.NotFound:
        return None


def is_owned(live: JSON, desired: JSON) -> bool:
    """Tell whether *live* is ours: our label, and the same controller (by uid) as *desired*.

    Outside of namespaces nothing can have such a controller: there the labels of *desired* say whose it is.
    """
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    owners = desired["metadata"].get("ownerReferences")
    if not owners:
        return all(labels.get(key) == value for key, value in desired["metadata"]["labels"].items())
    labelled = labels.get(MANAGED_BY) == MANAGER
    return labelled and any(item["uid"] == owners[0]["uid"] for item in metadata.get("ownerReferences") or ())


def stamped(desired: JSON) -> JSON:
    """Return *desired* with its own hash as an annotation: a field that we no longer want leaves no other trace."""
    digest = hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()[:16]
    metadata = desired["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def is_stale(wanted: JSON, live: JSON) -> bool:
    """Tell whether *live* has to be written: another hash, or something that we said is no longer so."""
    return not contains(live, wanted)


def contains(live: Any, wanted: Any) -> bool:
    """Tell whether *live* says all that *wanted* says; more than that is the API server's defaults.

    Lists must have the same length: where order and number matter, as in all that we write, an item more is drift.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(same_field(name, live, value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(contains(one, other) for one, other in zip(live, wanted, strict=True))
        )
    return bool(live == wanted)


def same_field(name: str, live: Mapping[str, Any], wanted: Any) -> bool:
    """Tell whether field *name* of *live* contains *wanted*; empty and absent are the same to the API server."""
    if name not in live:
        return wanted in (None, "", [], {}, False)
    if name in {"cpu", "memory", "ephemeral-storage"}:
        return same_quantity(live[name], wanted)
    return contains(live[name], wanted)


def same_quantity(live: object, wanted: object) -> bool:
    """Tell whether two resource quantities are the same amount; text that is none equals itself only."""
    try:
        return amount(live) == amount(wanted)
    except ValueError:
        return live == wanted


def foreign_keys(desired: JSON, live: JSON) -> JSON:
    """Return the merge patch that removes what others put into `data` and `binaryData`; empty when there is none."""
    patch: JSON = {}
    for part in EXACT:
        if desired["kind"] == "ConfigMap" and (extra := (live.get(part) or {}).keys() - desired.get(part, {}).keys()):
            patch[part] = dict.fromkeys(sorted(extra))
    return patch

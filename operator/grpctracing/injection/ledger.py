"""What on a container is ours, read from `metadata.managedFields`.

The API server keeps the books: it notes our field manager beside every value that we wrote and strikes it out when
somebody else writes another. Nothing of our own is stored on a Deployment. What is ours by name alone, because nobody else
uses it: the variables in `names.RESERVED`, and where our volume is mounted the `/grpctracing` in front of a `PYTHONPATH`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Entry = Mapping[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Managers that copy whole templates: a value under their name may well have been ours before. The API server merges the
# oldest of more than ten managers into `ancient-changes`; `kubectl rollout undo` writes the template of an old ReplicaSet.
COPIERS = frozenset({"ancient-changes", "kubectl-rollout"})

OF_IMAGE = names.MOUNT_PATH + "/:"


def owned(
    deployment: Mapping[str, Any], container: Mapping[str, Any], would_write: Mapping[str, Entry]
) -> frozenset[str]:
    """Return the names of *container*'s variables that are ours.

    *would_write* maps names to the entries that we would write for it now: where the books name only a copier of
    templates (or are missing), an entry that equals it is ours. A name that the user has applied is never ours.
    """
    name = container["name"]
    declared = frozenset(declared_by_user(deployment, name))
    ours = frozenset(values_of(deployment, container, lambda manager: manager == names.FIELD_MANAGER))
    others = frozenset(
        values_of(deployment, container, lambda manager: manager != names.FIELD_MANAGER and manager not in COPIERS)
    )
    marked = any(entry["name"] in names.RESERVED for entry in container.get("env") or ())
    mounted = any(mount["name"] == names.VOLUME for mount in container.get("volumeMounts") or ())

    def is_ours(entry: Entry) -> bool:
        key = entry["name"]
        if key == names.PYTHONPATH:
            return is_prefixed(entry) and (mounted or key in ours)
        if key in names.RESERVED:
            return True
        if key in declared or key in others:
            return False
        return key in ours or (marked and same(entry, would_write.get(key, {})))

    return frozenset(entry["name"] for entry in container.get("env") or () if is_ours(entry))


def values_of(deployment: Mapping[str, Any], container: Mapping[str, Any], wanted: Any) -> Iterator[str]:
    """Yield the names of variables whose *value* belongs to a manager for which `wanted(manager)` holds.

    Owning only the name of an entry means nothing where it has a value: a forced server-side apply leaves us exactly
    that. An empty value is not stored, so there the name is all that anybody can own.
    """
    empty = {
        entry["name"] for entry in container.get("env") or () if not entry.get("value") and "valueFrom" not in entry
    }
    for record in deployment["metadata"].get("managedFields") or ():
        if record.get("subresource") or not wanted(record.get("manager", "")):
            continue
        node = record.get("fieldsV1") or {}
        for step in ("f:spec", "f:template", "f:spec", "f:containers", key_of(container["name"]), "f:env"):
            node = node.get(step) or {}
        for key, fields in node.items():
            if key.startswith("k:"):
                name = name_in(key)
                if name in empty or "f:value" in fields or "f:valueFrom" in fields:
                    yield name


def key_of(name: str) -> str:
    """Return how managedFields spells the list item called *name*."""
    return "k:" + json.dumps({"name": name}, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=4096)
def name_in(key: str) -> str:
    """Return the name of the list item that managedFields spells *key*; the same ones come up with every look."""
    return str(json.loads(key[2:])["name"])


def declared_by_user(deployment: Mapping[str, Any], container: str) -> Iterator[str]:
    """Yield the names of variables in what the user last gave to a client-side `kubectl apply`.

    The books miss a name that was applied with the value that we had already written.
    """
    text = (deployment["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return
    try:
        applied = json.loads(text)
        containers: Sequence[Any] = applied["spec"]["template"]["spec"]["containers"]
    except (ValueError, KeyError, TypeError):
        return  # written by hand, not by kubectl: it declares nothing that could be read
    for item in containers:
        if isinstance(item, dict) and item.get("name") == container:
            yield from (entry["name"] for entry in item.get("env") or () if "name" in entry)


def is_prefixed(entry: Entry) -> bool:
    """Tell whether this is a PYTHONPATH with our directory in front."""
    value = str(entry.get("value") or "")
    return value == names.MOUNT_PATH or value.startswith((names.MOUNT_PATH + ":", names.MOUNT_PATH + "/"))


def prefix(original: Entry | None, image: str = "") -> str:
    """Return the PYTHONPATH with ours in front of the user's *original* entry, else of what the *image* sets itself."""
    if original is None:
        # The slash marks that what follows is ours to remove: the image sets it, the Deployment does not.
        return f"{OF_IMAGE}{image}" if image else names.MOUNT_PATH
    value = str(original.get("value") or "")
    # An empty value of the user's is remembered by the trailing slash, so that going back finds it again.
    return f"{names.MOUNT_PATH}:{value}" if value else names.MOUNT_PATH + "/"


def original(entry: Entry) -> str | None:
    """Return the user's PYTHONPATH inside a prefixed *entry*; None when the user had none."""
    value = str(entry["value"])
    if value == names.MOUNT_PATH or value.startswith(OF_IMAGE):
        return None
    return value.removeprefix(names.MOUNT_PATH)[1:]


def of_image(entry: Entry) -> str:
    """Return the image's PYTHONPATH inside a prefixed *entry*; empty when there is none."""
    value = str(entry["value"])
    return value.removeprefix(OF_IMAGE) if value.startswith(OF_IMAGE) else ""


def same(one: Entry, other: Entry) -> bool:
    """Compare two env entries as the API server stores them: an empty value is no value, defaults are filled in."""
    return normal(one) == normal(other)


def normal(entry: Entry) -> tuple[Any, ...]:
    """Return an env entry without what the API server adds: comparable, nothing else."""
    source = entry.get("valueFrom")
    if source and "fieldRef" in source:
        source = {"fieldRef": {"apiVersion": "v1", **source["fieldRef"]}}
    return (entry.get("name"), entry.get("value") or "", source)

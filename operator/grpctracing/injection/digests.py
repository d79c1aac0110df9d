"""What an injection is known by once it has failed: digests of all that could make the next try end differently.

The digest of what is in place and that of what would be put in are the same where the two are the same, so it does not
matter whether the Deployment carries the injection, did so before, or is to carry it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.findings import Report
from grpctracing.injection.ledger import normal, of_image, owned
from grpctracing.injection.plan import is_our_volume
from grpctracing.injection.revisions import images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grpctracing.injection.fitness import Probed
    from grpctracing.injection.plan import Plan

    Entry = Mapping[str, Any]


def image_digest(deployment: Mapping[str, Any], payload: str) -> str:
    """Return what identifies all images of a Deployment together with the bootstrap (*payload* is its digest)."""
    return digest([sorted(set(images(deployment).values())), payload])


def planned(deployment: Mapping[str, Any], wanted: Plan, payload: str) -> str:
    """Return what identifies the injection that *wanted* would be."""
    env = {item.name: item.env for item in wanted.containers}
    return injection(deployment, env, wanted.volume, payload)


def in_place(deployment: Mapping[str, Any], wanted: Plan, payload: str) -> str:
    """Return what identifies the injection that *deployment* carries; *wanted* helps to tell what is ours (`owned`)."""
    pod = deployment["spec"]["template"]["spec"]
    volume = next((each for each in pod.get("volumes") or () if is_our_volume(each)), None)
    env: dict[str, list[Entry]] = {}
    for container in pod["containers"]:
        ours = owned(deployment, container, wanted.would_write.get(container["name"], {}))
        env[container["name"]] = [entry for entry in container.get("env") or () if entry["name"] in ours]
    return injection(deployment, env, volume, payload)


def injection(
    deployment: Mapping[str, Any], env: Mapping[str, Sequence[Entry]], volume: Entry | None, payload: str
) -> str:
    """Return two digests with a dot between: of all of it, and without what only a look into the image tells (`alike`)."""
    live = names.LIVE if volume else frozenset()  # a ratio that reaches running pods breaks none
    kept = {name: [entry for entry in entries if entry["name"] not in live] for name, entries in env.items() if entries}
    rest = [images(deployment), volume and volume["configMap"]["name"], payload if volume else ""]
    blind = {name: [unseen(entry) for entry in entries] for name, entries in kept.items()}
    return ".".join(
        digest([{name: sorted(map(spelled, entries)) for name, entries in each.items()}, *rest])
        for each in (kept, blind)
    )


def spelled(entry: Entry) -> str:
    """Return *entry* as text that is the same before and after the API server has stored it."""
    return json.dumps(normal(entry), sort_keys=True)


def unseen(entry: Entry) -> Entry:
    """Return *entry* as it is where nothing is known of the image: its own PYTHONPATH may be that of the one before."""
    if entry["name"] == names.PYTHONPATH and of_image(entry):
        return {"name": names.PYTHONPATH, "value": names.MOUNT_PATH}
    return entry


def alike(failed: str, wanted: str, probed: Probed | None, containers: Iterable[str]) -> bool:
    """Tell whether *wanted* is the injection that *failed*.

    Before an image of *containers* has been looked into, and where that can't be done, its PYTHONPATH is no difference:
    what is put in place of it is a guess, and another guess is no new try.
    """
    seen = probed is not None and all(isinstance(probed.get(name), Report) for name in containers)
    which = 0 if seen else -1
    return failed.split(".")[which] == wanted.split(".")[which]


def digest(value: Any) -> str:
    """Return a short name of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

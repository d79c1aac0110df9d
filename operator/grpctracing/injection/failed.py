"""Images that failed with the bootstrap, as far as a policy can keep their pods out.

They failed with a patch, or through the policy itself, where pods from before it are evicted (`rollout.restartExisting`).
A policy sees a pod and knows nothing of its Deployment, so it goes by images. What failed for another reason (a quota, no
node) says nothing of the next pods, and is not kept out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.digests import image_digest
from grpctracing.injection.kinds import label_of
from grpctracing.injection.revisions import images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grpctracing.api import Reverted

    Workloads = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Failed:
    """Images that failed in one pod together; *retry* is the value of the annotation with which that was tried last."""

    images: tuple[str, ...]
    retry: str


def still_failed(records: Iterable[Reverted], workloads: Workloads, payload: str) -> tuple[Failed, ...]:
    """Return what *records* say of the images of *workloads* together with the bootstrap *payload*."""
    by_image = {image_digest(each, payload): tuple(sorted(set(images(each).values()))) for each in workloads}
    found = {Failed(by_image[record.image], record.retry) for record in records if record.image in by_image}
    return tuple(sorted(found, key=lambda each: (each.images, each.retry)))


def against(records: Mapping[str, Reverted], workload: Mapping[str, Any], payload: str) -> Reverted | None:
    """Return the one of *records* (by label) for which pods of *workload* are kept out; its own before others', or None."""
    image, asked = image_digest(workload, payload), asked_for(workload)
    holding = {
        label: record for label, record in records.items() if record.image == image and asked in {"", record.retry}
    }
    return holding.get(label_of(workload)) or next(iter(holding.values()), None)


def asked_for(workload: Mapping[str, Any]) -> str:
    """Return the value with which its user asks for another try, where a policy can see it: on the pod template."""
    annotations = (workload["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.RETRY, ""))

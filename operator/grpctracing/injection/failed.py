"""Images that failed with the bootstrap under `Patch`, as far as a policy can keep their pods out.

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
from grpctracing.injection.select import annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grpctracing.api import Reverted

    Workloads = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Failed:
    """Images that failed in one pod together; *retry* is the value of the annotation with which that was tried last."""

    images: tuple[str, ...]
    retry: str


def still_failed(records: Mapping[str, Reverted], workloads: Workloads, payload: str) -> tuple[Failed, ...]:
    """Return what of *records* (by label) speaks of the present images of its workload and of the bootstrap *payload*."""
    found = {
        Failed(tuple(sorted(set(images(workload).values()))), record.retry)
        for workload in workloads
        if (record := records.get(label_of(workload))) is not None and holds(record, workload, payload)
    }
    return tuple(sorted(found, key=lambda each: (each.images, each.retry)))


def holds(record: Reverted, workload: Mapping[str, Any], payload: str) -> bool:
    """Tell whether *record* speaks against the images of *workload*, and its user has not asked for another try."""
    asked = annotation(workload, names.RETRY) or ""
    return record.image == image_digest(workload, payload) and asked in {"", record.retry}

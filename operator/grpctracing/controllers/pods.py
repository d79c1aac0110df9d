"""The pods of one workload, asked for only when a question is open: there may be a hundred thousand, and few ever matter.

No watch, and two bounded lists per look: what the controller keeps of each template, and the pods of the present one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.kinds import kind_of
from grpctracing.injection.revisions import is_of, newest, selector_of
from grpctracing.kube.resources import BY_KIND, PODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON, Resource

REVISIONS_AT_MOST: Final = 50
PODS_AT_MOST: Final = 20
"""All pods of one template fail in the same way, or it is not the template."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Lists pods; every method raises ApiError."""

    client: Client

    async def revisions(self, workload: JSON) -> list[JSON]:
        """Return what the workload's controller keeps of the templates that there were."""
        resource = BY_KIND[kind_of(workload).keeps]
        return await self.listed(resource, workload, workload["spec"]["selector"], REVISIONS_AT_MOST)

    async def present(self, workload: JSON, revisions: list[JSON], most: int = PODS_AT_MOST) -> list[JSON]:
        """Return pods of the workload's present template; none before its controller has made the first of *revisions*."""
        if (present := newest(workload, revisions)) is None:
            return []
        found = await self.listed(PODS, workload, selector_of(workload, present), most)
        return [pod for pod in found if is_of(pod, workload, present)]

    async def all_present(self, workload: JSON) -> tuple[list[JSON], list[JSON]]:
        """Return what `revisions` does, and every pod of the present template that is not on its way out."""
        revisions = await self.revisions(workload)
        if (present := newest(workload, revisions)) is None:
            return revisions, []
        terms = selector(selector_of(workload, present))
        found = await self.client.list(PODS, workload["metadata"]["namespace"], selector=terms)
        alive = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
        return revisions, [pod for pod in alive if is_of(pod, workload, present)]

    async def listed(
        self, resource: Resource, workload: JSON, spec: Mapping[str, Any], most: int, more: str = ""
    ) -> list[JSON]:
        """Return objects of the workload's namespace that the `metav1.LabelSelector` *spec* selects, and *more* terms."""
        query = {"limit": str(most), "labelSelector": ",".join(filter(None, (selector(spec), more)))}
        return list((await self.client.page(resource, workload["metadata"]["namespace"], query)).get("items") or ())


def selector(spec: Mapping[str, Any]) -> str:
    """Return a `metav1.LabelSelector` as the query parameter spells it."""
    terms = [f"{key}={value}" for key, value in sorted((spec.get("matchLabels") or {}).items())]
    for expression in spec.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(expression.get("values") or ())
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(terms)

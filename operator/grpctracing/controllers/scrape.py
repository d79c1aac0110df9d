"""What one look at a Collector's metrics says of proof: whose spans it has counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from grpctracing.injection.kinds import KINDS, REPLICA_SET

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

SERIES: Final = "grpctracing_proof_calls_total{"
METRIC: Final = re.compile(
    rf"^{re.escape(SERIES)}(?P<labels>.*)\}} (?P<value>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)", re.MULTILINE
)
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
LARGEST: Final = 8 * 2**20
"""Bytes of the proof metric that are read from one Collector: what answers there need not be one."""
WORKLOAD_LABELS: Final = {kind.name: kind.attribute.replace(".", "_") for kind in KINDS.values()}

Counts = dict[str, float]
"""What tells the template → spans: the ReplicaSet (as the pods' names tell it), or name and uid of the pod."""


async def series(body: aiohttp.StreamReader) -> str:
    """Return the lines of a scrape that are about proof. Raises ValueError where no Collector would say that much."""
    kept: list[bytes] = []
    size = 0
    async for line in body:
        if line.startswith(SERIES.encode()):
            kept.append(line)
            size += len(line)
        if size > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes of proof")
    return b"".join(kept).decode("utf-8", "replace")


def parse(text: str) -> dict[tuple[str, str], Counts]:
    """Return kind and name of workloads → what tells the template → spans of one scrape."""
    found: dict[tuple[str, str], Counts] = {}
    for labels, value in samples(text):
        kind = next((kind for kind, attribute in WORKLOAD_LABELS.items() if labels.get(attribute)), None)
        pod = labels.get("k8s_pod_name")
        if kind is not None and pod:
            counts = found.setdefault((kind, labels[WORKLOAD_LABELS[kind]]), {})
            by_name = KINDS[kind].keeps == REPLICA_SET
            source = pod.rpartition("-")[0] if by_name else f"{pod}/{labels.get('k8s_pod_uid', '')}"
            counts[source] = counts.get(source, 0.0) + value
    return found


def samples(text: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yield labels and value of each sample of the proof metric."""
    for match in METRIC.finditer(text):
        yield dict(LABEL.findall(match["labels"])), float(match["value"])

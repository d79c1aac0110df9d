"""Kubernetes quantities: the API server writes "0.5" back as "500m", and the Collector's heap is bounded by its container's memory limit."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_FACTORS: Final = {
    None: Decimal(1), "m": Decimal("0.001"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


def amount(quantity: object) -> Decimal:
    """Return a quantity such as `500m`, `512Mi`, `1G` or `268435456` as a number. Raises ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        raise ValueError(f'"{quantity}" is not a quantity; write e.g. "512Mi"')
    return Decimal(match[1]) * _FACTORS[match[2]]

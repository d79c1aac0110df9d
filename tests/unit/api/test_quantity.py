from __future__ import annotations

import pytest

from grpctracing.api.quantity import amount


@pytest.mark.parametrize(
    ("quantity", "want"),
    [(1024, 1024), ("512Mi", 512 * 2**20), ("1G", 10**9), ("1.5Gi", 1610612736), ("100k", 100_000), ("1000m", 1)],
)
def test_the_amount(quantity, want):
    assert amount(quantity) == want


@pytest.mark.parametrize("quantity", ["", "1 Gi", "1GB", "-1", "Mi"])
def test_anything_else_is_refused(quantity):
    with pytest.raises(ValueError, match="is not a quantity"):
        amount(quantity)

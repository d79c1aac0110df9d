"""`crds`: the CustomResourceDefinition as YAML, for those who do not use the chart."""

from __future__ import annotations

import sys


def crds() -> int:
    """Print the CRD; return 0."""
    from grpctracing.api import crd

    sys.stdout.write(crd.text())
    return 0

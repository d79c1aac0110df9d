"""Clients from PyPI that use grpc in unusual ways: each script talks to server.py, without and with the payload, and prints what it sees.

Run by `make matrix` only: what they depend on is large.
"""

from __future__ import annotations

from pathlib import Path

from tests.bootstrap import interpreters
from tests.bootstrap.process import PAYLOAD, Ended, start, wait

REQUIREMENTS = {
    "etcd": ("etcd3==0.12.0", "protobuf==3.20.3", "grpcio==1.62.3"),
    "pubsub": ("google-cloud-pubsub==2.44.0",),
    "firestore": ("google-cloud-firestore==2.34.1",),
    "qdrant": ("qdrant-client==1.20.0",),
    "milvus": ("pymilvus==3.0.2",),
    "ydb_sdk": ("ydb==3.33.2",),
    "betterproto_grpclib": ("betterproto==1.2.5", "grpclib==0.4.9", "grpcio==1.85.1"),
    "zeebe": ("pyzeebe==4.7.0",),
    "temporal": ("temporalio==1.35.0", "grpcio==1.85.1"),
    "triton": ("tritonclient[grpc]==2.73.0",),
    "spicedb": ("authzed==1.25.0",),
}


def run(name: str, endpoint: str, python: str = "3.11") -> tuple[Ended, Ended]:
    """Return how the client *name* ends (without, with the payload)."""
    environment = interpreters.environment(interpreters.needed(python), *REQUIREMENTS[name])
    script = Path(__file__).parent / f"{name}.py"
    both = [start(script, python=environment, payload=payload, endpoint=endpoint) for payload in (None, PAYLOAD)]
    plain, ours = (wait(process, 120) for process in both)
    return plain, ours

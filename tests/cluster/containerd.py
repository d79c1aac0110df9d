"""Images into the node's containerd, and the one image that it cannot do without."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError
from tests.cluster.packages import program

if TYPE_CHECKING:
    from pathlib import Path


def ctr(socket: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `ctr` in Kubernetes' namespace; the caller looks at the outcome."""
    command = [str(program("ctr")), "--address", str(socket), "--namespace", "k8s.io", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def serves(socket: Path) -> bool:
    """Whether containerd answers on *socket*."""
    return socket.exists() and ctr(socket, "version").returncode == 0


def import_archive(socket: Path, archive: Path) -> None:
    """Import the images in *archive* (docker-archive)."""
    done = ctr(socket, "images", "import", "--no-unpack=false", str(archive))
    if done.returncode != 0:
        raise ClusterError(f"importing {archive} failed: {done.stderr.strip()}")


def images(socket: Path) -> set[str]:
    """Return the references of the images that containerd has."""
    return set(ctr(socket, "images", "list", "--quiet").stdout.split())


def one_binary_archive(archive: Path, reference: str, binary: Path) -> None:
    """Write *archive* (docker-archive): an image of nothing but the static *binary*, which it runs."""
    layer = _tar({binary.name: binary.read_bytes()}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"docker.io/{reference}"], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "manifest.json": manifest}
    encoded = {name: json.dumps(content).encode() for name, content in files.items()}
    archive.write_bytes(_tar({"layer.tar": layer, **encoded}))


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

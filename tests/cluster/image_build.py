"""How an image is made: debootstrap for a base, pip for wheels, buildah for a Dockerfile, a tar file for a lone binary.

The build itself needs no network: whatever comes from outside is fetched on the host, where certificates and proxies are set up.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from functools import cache as memoized
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.containerd import one_binary_archive
from tests.cluster.errors import ClusterError
from tests.cluster.images import Base, Binary, Built
from tests.cluster.packages import program
from tests.cluster.paths import cache
from tests.cluster.tools import built

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a base has no use for; it is copied into every image.
_DEAD_WEIGHT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man", "var/log")
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_5_x86_64")
_PYTHON = "3.13"
# A mount namespace of its own: what a command mounts is gone with it, even when it is killed.
_ALONE = ("unshare", "--mount")
_KEPT_LAYERS = 60  # steps of earlier builds, which make the next one quick


def build(image: Built | Binary, reference: str, archive: Path) -> None:
    """Write *archive* (docker-archive) of *image* under the name *reference*."""
    with tempfile.TemporaryDirectory(prefix="image-", dir=cache()) as scratch:
        made = Path(scratch, "image.tar")
        if isinstance(image, Binary):
            one_binary_archive(made, reference, built(image.build) / image.name)
        else:
            _build(image, reference, made, Path(scratch, "context"))
        shutil.move(made, archive.with_suffix(".new"))
    archive.with_suffix(".new").rename(archive)


def _build(image: Built, reference: str, made: Path, context: Path) -> None:
    _buildah("rm", "--all")  # what a build that was killed left
    _ensure_base(image.base)
    for source in image.files():
        target = context / source.relative_to(image.context)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    if image.requirements:
        shutil.copytree(_wheels(context / image.requirements), context / "wheels")
    if image.binary:
        target = context / image.binary_at
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(built(image.binary) / target.name, target)
    if image.interpreter:
        _copy_python(Path(image.interpreter), context / "python")
    arguments = [
        f"--build-arg={name}={value}" for name, value in (("BASE_IMAGE", image.base.reference), *image.arguments)
    ]
    name = f"docker.io/{reference}"
    file = f"--file={context / image.dockerfile}"
    _buildah("build", "--layers", "--isolation=chroot", "--pull=never", *arguments, file, f"--tag={name}", str(context))
    _buildah("push", name, f"docker-archive:{made}:{name}")
    if len(_buildah("images", "--all", "--quiet").split()) > _KEPT_LAYERS:
        _buildah("rmi", "--prune")


def _copy_python(interpreter: Path, target: Path) -> None:
    """Copy *interpreter* (bin/python of an installation) to *target*/bin/python and what it needs to *target*/lib."""
    binary = interpreter.resolve()
    (target / "bin").mkdir(parents=True)
    shutil.copy2(binary, target / "bin" / "python")
    library = binary.parents[1] / "lib"
    for shared in library.glob("libpython*.so*"):
        (target / "lib").mkdir(exist_ok=True)
        shutil.copy2(shared, target / "lib")
    unneeded = shutil.ignore_patterns(
        "test", "site-packages", "__pycache__", "config-*", "lib2to3", "ensurepip", "idlelib"
    )
    shutil.copytree(library / binary.name, target / "lib" / binary.name, ignore=unneeded)


def _ensure_base(base: Base) -> None:
    """Make *base* an image of our storage, from its archive in the cache, made first if it is not there."""
    label = f"{base.reference.rpartition(':')[0]}:{base.key()}"
    if (
        subprocess.run([*_storage(), "inspect", "--type=image", label], check=False, capture_output=True).returncode
        == 0
    ):
        _buildah("tag", label, base.reference)
        return
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache()) as scratch:
        root = Path(scratch, "root")
        print(f"  fetching Debian {base.suite} with {', '.join(base.packages)}", flush=True)
        fetch = (*_ALONE, program("debootstrap"), "--variant=minbase")
        _run(*fetch, f"--include={','.join(base.packages)}", base.suite, root)
        for path in _DEAD_WEIGHT:
            shutil.rmtree(root / path, ignore_errors=True)
        container = _buildah("from", "scratch").strip()
        _buildah("add", container, str(root), "/")
        _buildah("commit", "--rm", container, label)
    _buildah("tag", label, base.reference)


def _wheels(requirements: Path) -> Path:
    """Return the directory with the wheels that *requirements* pins, for the Python of the base; fetched once."""
    kept = cache() / "wheels" / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        platforms = [f"--platform={platform}" for platform in _PLATFORMS]
        tags = ["--implementation=cp", f"--python-version={_PYTHON}", "--abi=cp313", "--abi=abi3", "--abi=none"]
        pip = (
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
        )
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=cache()) as scratch:
            _run(*pip, *platforms, *tags, "--dest", Path(scratch, "wheels"), "--requirement", requirements)
            Path(scratch, "wheels").rename(kept)
    return kept


def _buildah(*words: str) -> str:
    return _run(*_storage(), *words)


def _storage() -> list[str]:
    """Return `buildah` with a storage of our own, that no other container tool of the machine sees.

    In a mount namespace of its own, as the overlay driver leaves a mount behind.
    """
    home = cache() / "buildah" / _driver()
    home.mkdir(parents=True, exist_ok=True)
    places = [f"--root={home / 'root'}", f"--runroot={home / 'run'}", f"--storage-driver={_driver()}"]
    return [*_ALONE, str(program("buildah")), *places]


@memoized
def _driver() -> str:
    """Return `overlay` where the kernel can; `vfs` (whole copies: slow, but anywhere) inside most containers."""
    with tempfile.TemporaryDirectory(prefix="driver-", dir=cache()) as trial:
        places = [f"--root={trial}/root", f"--runroot={trial}/run", "--storage-driver=overlay"]
        done = subprocess.run([*_ALONE, program("buildah"), *places, "info"], check=False, capture_output=True)
    return "overlay" if done.returncode == 0 else "vfs"


def _run(*words: str | Path) -> str:
    command: Sequence[str] = [str(word) for word in words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip().splitlines()
        raise ClusterError("\n".join([f"{' '.join(command)} failed:", *output[-30:]]))
    return done.stdout

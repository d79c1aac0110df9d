"""Every image of the project and of its tests, as data, and the cache that keeps their archives by content.

No registry is asked: bases come from Debian's archive, wheels from the package index, binaries from the Go module proxy.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bootstrap import interpreters
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.paths import HERE, REPOSITORY, cache
from tests.cluster.tools import TOOLS, GoBuild, go_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Base:
    """A Debian of *suite* with *packages*: what a Dockerfile starts from."""

    reference: str
    suite: str
    packages: tuple[str, ...]

    def key(self) -> str:
        """Return the name of its archive in the cache."""
        return f"base-{_digest([repr(self).encode()])}"


@dataclass(frozen=True, slots=True)
class Built:
    """An image of *dockerfile* on *base*; *sources* are the files and folders of *context* that it is made of.

    *requirements* (a file of the context) come as wheels in wheels/; *binary* is built and put at *binary_at*; *interpreter*, a Python of this
    machine, comes with its library in python/.
    """

    context: Path
    dockerfile: str
    sources: tuple[str, ...]
    base: Base
    arguments: tuple[tuple[str, str], ...] = ()
    requirements: str = ""
    binary: GoBuild | None = None
    binary_at: str = ""
    interpreter: str = ""

    def key(self) -> str:
        """Return the name of its archive in the cache: a hash of all that goes in."""
        parts = [self.base.key().encode(), repr((self.dockerfile, self.arguments, self.requirements)).encode()]
        for path in self.files():
            parts += [str(path.relative_to(self.context)).encode(), path.read_bytes()]
        if self.binary:
            parts.append(self.binary.key(go_version()).encode())
        if self.interpreter:
            parts.append(self.interpreter.encode())
        return _digest(parts)

    def files(self) -> list[Path]:
        """Return the files that the image is made of, in a fixed order."""
        named = [self.context / source for source in self.sources]
        absent = [str(path.relative_to(REPOSITORY)) for path in named if not path.exists()]
        if absent:
            raise ClusterError(f"the image needs {', '.join(absent)}, which the checkout does not have")
        found = {file for path in named for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()}
        return sorted(file for file in found if "__pycache__" not in file.parts)


@dataclass(frozen=True, slots=True)
class Binary:
    """An image of nothing but one static binary."""

    build: GoBuild
    name: str

    def key(self) -> str:
        """Return the name of its archive in the cache."""
        return _digest([self.build.key(go_version()).encode(), self.name.encode()])


_PYTHON = Base("localhost/grpctracing/python:3.13", "trixie", ("python3", "python3-venv", "ca-certificates"))
# No suite that Debian still serves has Python 3.6: that is taken from this machine, where it has one. PyPy there is a Python 3.7: as much too old, and as
# much to be left alone.
_OLD_PYTHON = Base("localhost/grpctracing/old-python:dev", "bullseye", ("python2.7", "pypy3"))
_EXAMPLES = REPOSITORY / "examples"
_OLD = HERE / "containers" / "old-python"
_GO_SERVICE = GoBuild("payment-go", _EXAMPLES / "payment-go", {"payment-go": "."}, seconds=30)
_TOOLS = {build.name: build for build in TOOLS}


def _example(name: str) -> Built:
    sources = ("requirements.txt", "proto", name)
    return Built(_EXAMPLES, f"{name}/Dockerfile", sources, _PYTHON, requirements="requirements.txt")


def _old_python(interpreter: str) -> Built:
    return Built(_OLD, "Dockerfile", ("Dockerfile", "server.py"), _OLD_PYTHON, (("INTERPRETER", interpreter),))


def _this_machines_python(interpreter: str) -> Built:
    return Built(_OLD, "Dockerfile.local", ("Dockerfile.local", "server.py"), _PYTHON, interpreter=interpreter)


IMAGES: dict[str, Built | Binary] = {
    "grpctracing/operator:dev": Built(
        REPOSITORY,
        "Dockerfile",
        ("Dockerfile", "requirements/operator.txt", "operator/grpctracing", "sidecar/payload"),
        _PYTHON,
        requirements="requirements/operator.txt",
    ),
    "grpctracing/otel-collector:dev": Binary(_TOOLS["collector"], "otelcol"),
    "grpctracing/jaeger:dev": Binary(_TOOLS["jaeger"], "jaeger"),
    "grpctracing/example-payment:dev": _example("payment"),
    "grpctracing/example-order:dev": _example("order"),
    "grpctracing/example-load:dev": _example("load"),
    "grpctracing/example-payment-go:dev": Built(
        _EXAMPLES,
        "payment-go/Dockerfile",
        ("payment-go",),
        _PYTHON,
        binary=_GO_SERVICE,
        binary_at="payment-go/dist/payment-go",
    ),
    "grpctracing/test-python27:dev": _old_python("python2.7"),
    "grpctracing/test-python37:dev": _old_python("pypy3"),
    "grpctracing/test-image-path:dev": Built(
        REPOSITORY,
        "tests/cluster/containers/image-path/Dockerfile",
        ("tests/cluster/containers/image-path", "examples/requirements.txt", "examples/proto", "examples/payment"),
        _PYTHON,
        requirements="examples/requirements.txt",
    ),
    "grpctracing/test-nogrpcio:dev": Built(
        _OLD, "Dockerfile", ("Dockerfile", "server.py"), _PYTHON, (("INTERPRETER", "python3"),)
    ),
    "grpctracing/test-contrib:dev": Built(
        REPOSITORY,
        "tests/cluster/containers/contrib/Dockerfile",
        ("tests/cluster/containers/contrib", "examples/proto", "examples/payment"),
        _PYTHON,
        requirements="tests/cluster/containers/contrib/requirements.txt",
    ),
    "grpctracing/test-nopython:dev": Binary(_TOOLS["nopython"], "nopython"),
}
if (_python36 := interpreters.find("3.6")) is not None:
    IMAGES["grpctracing/test-python36:dev"] = _this_machines_python(_python36)


def archive(reference: str) -> Path:
    """Return the archive (docker-archive) of the image *reference*, built first if its content is not in the cache."""
    if reference not in IMAGES:
        raise ClusterError(f"no image is called {reference!r}; there are: {', '.join(IMAGES)}")
    image = IMAGES[reference]
    name = reference.rpartition("/")[2].partition(":")[0]
    file = cache() / "images" / f"{name}-{image.key()}.tar"
    if file.exists():
        return file
    with locked(cache() / "images.lock"):
        if not file.exists():
            from tests.cluster import image_build

            file.parent.mkdir(exist_ok=True)
            print(f"building {reference}", flush=True)
            started = time.monotonic()
            image_build.build(image, reference, file)
            print(f"built {reference} in {time.monotonic() - started:.0f} s", flush=True)
            _forget_older(file, name)
    return file


def build_images(references: Iterable[str] = tuple(IMAGES)) -> None:
    """Build what the cache lacks of *references*."""
    for reference in references:
        print(f"{reference:<36} {archive(reference)}", flush=True)


def _forget_older(file: Path, name: str) -> None:
    for older in file.parent.glob(f"{name}-{'?' * 16}.tar"):
        if older != file:
            older.unlink()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]

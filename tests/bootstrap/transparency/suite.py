"""Run the suite from outside: cases without and with the payload, in any interpreter, and what differs."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bootstrap.process import GRPC_PRINTS, PAYLOAD, Ended, start, wait
from tests.bootstrap.transparency.bench import without_ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Version = tuple[int, ...]

# What differs by grpc's public interface alone: cases that look at the bases of a call that goes on, whose class is one of ours of the same name.
DOUBLED = "_MultiThreadedRendezvous"
DIFFERENT = frozenset(
    (
        "aborts_of_streams",
        "errors_of_iteration",
        "future_that_failed",
        "handlers_of_wrong_shape",
        "interfaces_of_all_call_objects",
        "results_of_wrong_type",
        "serializers_of_the_server",
        "stream_cancelled",
    )
)
_ADDRESS = re.compile("0x[0-9a-f]+")  # of objects, in what Python prints by itself
# Where the event loop stood when a coroutine that nobody awaited was freed: its next turn or this one, in 3 of 25 plain processes the former.
_FREED = re.compile(r"\S+/asyncio/base_events\.py:\d+: (RuntimeWarning: coroutine .* was never awaited\n)  .*\n")
RUN = Path(__file__).parent / "run.py"
# Beside grpcio, at the first version of its line (later ones are not published for all): what the cases of servicers.py use.
COMPANIONS = ("grpcio-health-checking", "grpcio-reflection", "grpcio-channelz", "grpcio-status", "grpcio-testing")


def requirements(grpcio: str, uvloop: str = "0.21.0") -> tuple[str, ...]:
    """Return what an environment of the suite has installed, pinned."""
    first = grpcio.rpartition(".")[0] + ".0"
    beside = (f"{name}=={first}" for name in COMPANIONS)
    return ("--only-binary=grpcio,uvloop", f"grpcio=={grpcio}", *beside, f"uvloop=={uvloop}")


def run(
    python: str, names: Iterable[str], endpoint: str, paths: Sequence[str] = ("internal",)
) -> dict[str, dict[str, tuple[Ended, Ended]]]:
    """Return {path: {case: (plain, with the payload)}} of *names* in the interpreter *python*; spans go to *endpoint*.

    *paths* are of "internal" and "public". All variants run side by side, each case after the other.
    """
    names = list(names)
    version = _version(python)
    with tempfile.TemporaryDirectory() as folder:
        certificates(Path(folder))
        variants = _variants(endpoint, folder, paths)
        running = {}
        for variant, how in variants.items():
            place = Path(folder) / variant
            place.mkdir()
            running[variant] = place, start(RUN, "--fork", str(place), *names, python=python, **how)
        ended = {variant: _results(place, wait(process, 900), version) for variant, (place, process) in running.items()}
        found = {path: {name: (ended["plain"][name], ended[path][name]) for name in names} for path in paths}
        for path, cases in found.items():
            for name, (plain, ours) in cases.items():
                if not as_documented(name, plain, ours, path):  # again, each in a process that never forked
                    cases[name] = alone(python, version, name, [variants["plain"], variants[path]])
    return found


def _variants(endpoint: str, folder: str, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    common = {"endpoint": endpoint, "TLS_FOLDER": folder}
    how = {"internal": {}, "public": {"GRPCTRACING_HOOKS": "public"}}
    ours = {path: {"payload": PAYLOAD, **common, **how[path]} for path in paths}
    return {"plain": {"payload": None, **common}, **ours}


def alone(python: str, version: Version, name: str, variants: Iterable[dict[str, Any]]) -> tuple[Ended, Ended]:
    """Return (plain, with the payload) of one case, in processes of its own from the first instruction on."""
    both = [start(RUN, name, python=python, **variant) for variant in variants]
    plain, ours = (_ended(process, version) for process in both)
    return plain, ours


def _ended(process: subprocess.Popen[str], version: Version) -> Ended:
    """Return how a process ended; one that hangs is killed, and told as killed."""
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return _told(process.returncode, out, err, version)


def _told(code: int, out: str, err: str, version: Version) -> Ended:
    """Return an Ended without what differs between two plain runs, or cannot be equal."""
    err = _FREED.sub(r"\1", GRPC_PRINTS.sub("", without_ours(_ADDRESS.sub("0x", err), version)))
    return Ended(code, _ADDRESS.sub("0x", out), err)


def _version(python: str) -> Version:
    told = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], check=True, capture_output=True, text=True
    )
    return tuple(map(int, told.stdout.split()))


def as_documented(name: str, plain: Ended, ours: Ended, path: str = "internal") -> bool:
    """Return whether what the case *name* saw is the same, or, by grpc's public interface alone, differs as the docs say and in nothing else."""
    if path == "internal" or name not in DIFFERENT:
        return ours == plain
    once = replace(ours, out=re.sub(rf'("{DOUBLED}",\n *)"{DOUBLED}"', rf'"{DOUBLED}"', ours.out))
    return ours != plain and once == plain


def missing(ended: Ended) -> str:
    """Return what the case needs and this environment lacks, or ""."""
    return json.loads(ended.out)["not here"] if ended.out.startswith('{\n "not here"') else ""


def certificates(folder: Path) -> None:
    """Write a self-made certificate for localhost and its key into *folder*."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _results(place: Path, ended: Ended, version: Version) -> dict[str, Ended]:
    assert ended.code == 0, ended.err + ended.out
    return {
        name: _told(int(code), (place / f"{name}.out").read_text(), (place / f"{name}.err").read_text(), version)
        for name, code, _ in (line.split() for line in ended.out.splitlines())
    }

"""kubectl and helm as functions: what they print, parsed, or an error that tells the command and what it said."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class CommandError(RuntimeError):
    """A command that ended with another status than 0."""

    def __init__(self, command: list[str], stderr: str) -> None:
        super().__init__(f"{' '.join(command)}\n{stderr.strip()}")
        self.command = command
        self.stderr = stderr


def run(command: list[str], *, stdin: str | None = None, timeout: float = 300, cwd: Path | None = None) -> str:
    """Return what *command* prints; raise CommandError where it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd)
    if done.returncode:
        raise CommandError(command, done.stderr or done.stdout)
    return done.stdout


@dataclass(frozen=True)
class Kubectl:
    """kubectl against one cluster."""

    binary: str
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        return run([self.binary, "--kubeconfig", str(self.kubeconfig), *arguments], stdin=stdin, timeout=timeout)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the object that `kubectl ARGUMENTS --output json` prints."""
        return json.loads(self(*arguments, "--output=json"))

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """Return one object."""
        return self.json("get", kind, name, "--namespace", namespace)

    def items(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind in *namespace* that *selector* matches."""
        return self.json("get", kind, "--namespace", namespace, *([f"--selector={selector}"] if selector else []))[
            "items"
        ]

    def apply(self, *objects: dict[str, Any]) -> str:
        """Apply *objects*."""
        return self("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def raw(self, path: str) -> str:
        """Return what the API server answers to GET *path*."""
        return self("get", "--raw", path)

    def exec(self, namespace: str, pod: str, *command: str, timeout: float = 300) -> str:
        """Return what *command* prints in *pod* (`deploy/NAME` works too)."""
        return self("exec", "--namespace", namespace, pod, "--", *command, timeout=timeout)

"""Kubeconfig files, written as JSON: every reader of YAML reads it, and writing it needs no library."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def by_token(path: Path, url: str, authority: Path, token: str) -> Path:
    """Write a kubeconfig that identifies itself by *token*."""
    return _write(path, url, authority, {"token": token})


def by_certificate(path: Path, url: str, authority: Path, certificate: Path) -> Path:
    """Write a kubeconfig that identifies itself by *certificate* (NAME.crt, with NAME.key beside it)."""
    user = {
        "client-certificate-data": _inline(certificate),
        "client-key-data": _inline(certificate.with_suffix(".key")),
    }
    return _write(path, url, authority, user)


def _write(path: Path, url: str, authority: Path, user: dict[str, str]) -> Path:
    name = "grpctracing"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": _inline(authority)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

"""The few plain HTTPS calls that the harness makes itself; tests bring a real client."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Api:
    """The API server at *url*, trusted by *authority*, spoken to with *token*."""

    url: str
    authority: Path
    token: str

    def ready(self) -> bool:
        """Whether /readyz answers ok."""
        try:
            return self._call("GET", "/readyz") == b"ok"
        except (urllib.error.URLError, OSError):  # not listening yet, or not ready yet: the same to who waits
            return False

    def get(self, path: str) -> Any:
        """Return the object at *path*; None when there is none."""
        try:
            return json.loads(self._call("GET", path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Server-side apply *manifest* at *path*."""
        query = "?fieldManager=grpctracing-harness&force=true"
        self._call("PATCH", path + query, json.dumps(manifest).encode(), "application/apply-patch+yaml")

    def _call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        context = ssl.create_default_context(cafile=self.authority)
        # A proxy of the environment has no business between us and this machine.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=10) as response:
            return bytes(response.read())

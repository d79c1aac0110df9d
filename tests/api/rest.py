"""A REST client of a few lines: tests see exactly what goes over the wire and what comes back."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cluster import ControlPlane

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Rest:
    """Calls to one API server; each returns (HTTP status, decoded body)."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._url = control_plane.url
        self._token = control_plane.token
        context = ssl.create_default_context(cafile=control_plane.ca_file)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path: str) -> Any:
        return self.ok("GET", path)

    def ok(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        status, answer = self.call(method, path, body, kind)
        assert status < 300, f"{method} {path}: {status} {answer.get('message')}"
        return answer

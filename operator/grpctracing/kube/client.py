"""Requests to the API server: JSON dicts in, JSON dicts out, typed errors, bounded in time and rate.

kubernetes.aio carries the connection (TLS, proxies, tokens, exec plug-ins). Its models stay out: they drop fields that
they do not know, and reading 10,000 Deployments through them costs eight seconds of CPU and 600 MB.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from grpctracing import telemetry
from grpctracing.kube import errors
from grpctracing.kube.config import refresh
from grpctracing.kube.limit import TokenBucket
from grpctracing.kube.part import anywhere
from grpctracing.kube.resources import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from grpctracing.kube.resources import JSON, Resource

FIELD_MANAGER: Final = "grpctracing"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
ATTEMPTS: Final = 3
"""How often one request is sent when the server says "later" itself (429 with Retry-After)."""
LONGEST_WAIT: Final = 10.0
CREATED: Final = 201
NAMESPACED: Final = re.compile(r"/namespaces/([^/?]+)/")


def always() -> bool:
    """Say that this process may write: there is no other."""
    return True


class Client:
    """A connection to one API server. Safe to share between tasks; close it at the end.

    *may_write* is asked before each request that is not a GET, as late as possible: where it says no, NotLeader is raised
    and nothing is sent.
    """

    def __init__(
        self, configuration: Configuration, *, rate: float = 50.0, may_write: Callable[[], bool] = always
    ) -> None:
        self.configuration = configuration
        self.may_write = may_write
        self.may_write_in: Callable[[str], bool] = anywhere
        self._api = ApiClient(configuration)
        self._bucket = TokenBucket(rate, rate * 2)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def get(self, resource: Resource, namespace: str, name: str) -> JSON:
        """Return one object; raises NotFound."""
        return await self._json("GET", resource.path(namespace, name))

    async def page(self, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> JSON:
        """Return one page of a list as the server gives it (items, metadata.continue, metadata.resourceVersion)."""
        return await self._json("GET", resource.path(namespace), query=query)

    async def list(self, resource: Resource, namespace: str | None = None, *, selector: str = "") -> list[JSON]:
        """Return all objects of a namespace (None: of all), in pages of 500."""
        items: list[JSON] = []
        query = {"limit": "500", "labelSelector": selector}
        while True:
            page = await self.page(resource, namespace, query)
            items += page.get("items") or ()
            token = page["metadata"].get("continue")
            if not token:
                return items
            query["continue"] = token

    async def create(self, resource: Resource, namespace: str, body: JSON) -> JSON:
        """Create an object; raises Conflict where the name is taken."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._json("POST", resource.path(namespace), query=query, body=body)

    async def rehearse(self, resource: Resource, namespace: str, body: JSON) -> JSON:
        """Return an object as it would be if it were created now; nothing is stored. Raises what `create` does."""
        return await self._json("POST", resource.path(namespace), query={"dryRun": "All"}, body=body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: JSON, *, kind: str, subresource: str | None = None
    ) -> JSON:
        """Send a merge or strategic-merge patch as our field manager; unknown fields are an error, not a shrug."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        path = resource.path(namespace, name, subresource)
        return await self._json("PATCH", path, query=query, body=body, content_type=kind)

    async def apply(self, resource: Resource, body: JSON, *, force: bool) -> JSON:
        """Server-side apply an object that we own; without *force* another owner's field raises Conflict."""
        metadata = body["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        path = resource.path(metadata.get("namespace"), metadata["name"])
        return await self._json("PATCH", path, query=query, body=body, content_type=APPLY)

    async def delete(self, resource: Resource, obj: JSON) -> None:
        """Delete exactly this object (by uid); one that is gone already is no error."""
        metadata = obj["metadata"]
        body = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._json("DELETE", resource.path(metadata.get("namespace"), metadata["name"]), body=body)
        except errors.NotFound:
            return

    async def evict(self, pod: JSON, *, dry_run: bool = False) -> None:
        """Delete exactly this pod (by uid) if its disruption budgets allow that, else raise Unavailable with status 429.

        *dry_run*: only find out.
        """
        metadata = pod["metadata"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "deleteOptions": {"preconditions": {"uid": metadata["uid"]}},
        }
        path = PODS.path(metadata["namespace"], metadata["name"], "eviction")
        await self._json("POST", path, query={"dryRun": "All"} if dry_run else {}, body=body)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, str],
        *,
        inactivity: float,
        opened: Callable[[], object] = always,
    ) -> AsyncGenerator[JSON, None]:
        """Yield the events of a watch until the server ends it; *opened* is called when the server has agreed to it.

        Raises Gone where the resourceVersion is too old, Unavailable where the connection breaks, says nothing for
        *inactivity* seconds (bookmarks come once a minute, so a silent connection is a dead one) or no JSON.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=inactivity)
        await self._bucket.acquire()
        try:
            response = await self._send("GET", resource.path(namespace), {**query, "watch": "true"}, None, "", timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(error) from error
        try:
            if response.status >= 400:  # noqa: PLR2004 - HTTP errors begin here
                raise refused(response, await response.read())
            opened()
            async for line in lines(response):
                event = decoded(line)
                if event["type"] == "ERROR":
                    raise errors.from_status(event["object"])
                yield event
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(error) from error
        finally:
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JSON | None = None,
        content_type: str = "application/json",
    ) -> JSON:
        for attempt in range(1, ATTEMPTS + 1):
            await self._bucket.acquire()
            try:
                response = await self._send(method, path, query or {}, body, content_type, TIMEOUT)
                payload = await response.read()
            except (aiohttp.ClientError, OSError) as error:  # OSError: asyncio's TimeoutError is one
                telemetry.API_REQUESTS.labels(method, "none").inc()
                raise unavailable(error) from error
            telemetry.API_REQUESTS.labels(method, str(response.status)).inc()
            if response.status < 400:  # noqa: PLR2004 - HTTP errors begin here
                return decoded(payload) if payload else {}
            refusal = refused(response, payload)
            if response.status == errors.UNAUTHORIZED and attempt < ATTEMPTS and refresh(self.configuration):
                continue  # the token was replaced before the old one was to be read again
            if response.status != errors.TOO_MANY_REQUESTS or refusal.retry_after is None or attempt == ATTEMPTS:
                raise refusal
            await asyncio.sleep(min(refusal.retry_after, LONGEST_WAIT))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: JSON | None,
        content_type: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, for the connection as a whole
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "User-Agent": "grpctracing-operator"}
        auth: Any = (await self.configuration.auth_settings()).get("BearerToken")
        if auth and auth["value"]:
            headers["Authorization"] = auth["value"]
        if body is not None:
            headers["Content-Type"] = content_type
        url = self.configuration.host + path
        if meaning := {name: value for name, value in query.items() if value}:
            url += "?" + urlencode(meaning)
        if method != "GET" and not self.may_write():
            raise errors.NotLeader(0, f"{method} {path} not sent: this process does not lead")
        if method != "GET" and (place := NAMESPACED.search(path)) is not None and not self.may_write_in(place[1]):
            raise errors.NotOurs(0, f"{method} {path} not sent: the namespace is not this operator's")
        answer = await self._api.rest_client.request(method, url, headers=headers, body=body, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        return response


def refused(response: aiohttp.ClientResponse, payload: bytes) -> errors.ApiError:
    """Return the error that *response* is."""
    return errors.from_response(response.status, payload, response.headers.get("Retry-After"))


def decoded(payload: bytes) -> JSON:
    """Return the object in *payload*; raises Unavailable where something else than an API server has answered."""
    try:
        answer: JSON = json.loads(payload)
    except ValueError as error:
        shown = payload[:100].decode("utf-8", "replace")
        raise errors.Unavailable(0, f"the API server's answer is not JSON: {shown!r}") from error
    return answer


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the lines of a streamed body, however long: a Deployment may be far larger than a read buffer."""
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def unavailable(error: Exception) -> errors.Unavailable:
    """Return what a broken connection means to a caller; says which kind of trouble it was."""
    what = "certificate refused" if isinstance(error, ssl.SSLError) else type(error).__name__
    return errors.Unavailable(0, f"the API server gave no answer ({what}: {error})")

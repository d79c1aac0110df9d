"""What the API server answers when it does not do as asked, as types: mapped once, here, and nowhere else."""

from __future__ import annotations

import json
from typing import Any


class ApiError(Exception):
    """The API server refused or could not be reached; *status* is 0 where there was no answer at all."""

    def __init__(self, status: int, message: str, *, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.retry_after = retry_after

    @property
    def is_refusal(self) -> bool:
        """Tell whether somebody has to do something before the same request can succeed: time alone does not help.

        An admission webhook that can't be called is one too, though the API server answers 500 for it.
        """
        return (
            not isinstance(self, Unavailable | Conflict | NotLeader | NotOurs)
            or "failed calling webhook" in self.message
        )

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.message}" if self.status else self.message


class NotFound(ApiError):  # noqa: N818 - the API's own words
    """404: no such object, or the kind is not served."""


class Forbidden(ApiError):  # noqa: N818 - as NotFound
    """401 or 403: the operator's Role lacks the right, an admission plug-in refuses, or a quota is used up."""


class Conflict(ApiError):  # noqa: N818 - as NotFound
    """409: somebody wrote in between, the object exists, or another manager owns the field."""


class Gone(ApiError):  # noqa: N818 - as NotFound
    """410: the resourceVersion or the list's continuation is too old; list again."""


class Invalid(ApiError):  # noqa: N818 - as NotFound
    """422: the object would not be valid, or `metadata.uid` names an object that has been replaced."""


class NotLeader(ApiError):  # noqa: N818 - as NotFound
    """Not sent: another process may lead by now, and of all operators only the leader writes."""


class NotOurs(ApiError):  # noqa: N818 - as NotFound
    """Not sent: the namespace belongs to another operator."""


class Unavailable(ApiError):  # noqa: N818 - as NotFound
    """No answer, 429 or 5xx: the same request may succeed later."""


BY_STATUS: dict[int, type[ApiError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}
UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


def from_response(status: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """Return the error for an HTTP answer; *body* is a `metav1.Status` or whatever a proxy sent instead."""
    try:
        answer: Any = json.loads(body)
        message, reason = str(answer["message"]), str(answer.get("reason", ""))
    except (ValueError, KeyError, TypeError):
        message, reason = body[:200].decode("utf-8", "replace").strip() or "no explanation", ""
    kind = BY_STATUS.get(status, ApiError)
    if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
        kind = Unavailable
    wait = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return kind(status, message, reason=reason, retry_after=wait)


def from_status(status: dict[str, Any]) -> ApiError:
    """Return the error that a watch's ERROR event carries."""
    return from_response(int(status.get("code") or SERVER_ERROR), json.dumps(status).encode())

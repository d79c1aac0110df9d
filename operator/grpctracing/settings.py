"""What the operator is told from outside: environment variables, read once, refused with a sentence that helps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from grpctracing.kube import selectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

PREFIX: Final = "GRPCTRACING_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
COLLECTOR_IMAGE: Final = "otel/opentelemetry-collector-contrib:0.159.0"
PROOF_URL: Final = "http://otel-collector.{namespace}:8889/metrics"
BOTH: Final = (
    f"{PREFIX}WATCH_NAMESPACES and {PREFIX}NAMESPACE_SELECTOR (in the chart: watchNamespaces and namespaceSelector) are both "
    "set; set one of them: names of namespaces, or labels"
)


class SettingsError(ValueError):
    """A variable has a value that can't be used; the message names it, the value and what would do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings. Times are seconds; without *watch_namespaces* and *namespace_selector* it works in all namespaces."""

    watch_namespaces: tuple[str, ...] = ()
    namespace_selector: selectors.Selector | None = None
    """By which labels a namespace is this operator's, where several share a cluster."""
    collector_image: str = COLLECTOR_IMAGE
    payload_dir: Path = Path("sidecar/payload")
    http_port: int = 8080
    log_level: str = "info"
    resync_seconds: float = 600.0
    proof_seconds: float = 10.0
    proof_url: str = PROOF_URL
    workers: int = 4
    requests_per_second: float = 200.0
    operator_deployment: tuple[str, str] | None = None
    """Namespace and name of the operator's own Deployment: `uninstall` stops it first, so that they do not fight."""
    lease: tuple[str, str] | None = None
    """Namespace and name of the Lease that decides which of several operators works; None: there is only this one."""
    lease_seconds: int = 10
    """For how long a leader that is not heard of is believed in."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings of *environ* (`GRPCTRACING_*`); raises SettingsError."""
        read = Reader(environ)
        defaults = cls()
        watched = read("WATCH_NAMESPACES", names, defaults.watch_namespaces)
        selector = read("NAMESPACE_SELECTOR", selectors.parse, defaults.namespace_selector)
        if watched and selector is not None:
            raise SettingsError(BOTH)
        return cls(
            watch_namespaces=watched,
            namespace_selector=selector,
            collector_image=read("COLLECTOR_IMAGE", str, defaults.collector_image),
            payload_dir=read("PAYLOAD_DIR", Path, defaults.payload_dir),
            http_port=read("HTTP_PORT", port, defaults.http_port),
            log_level=read("LOG_LEVEL", level, defaults.log_level),
            resync_seconds=read("RESYNC_SECONDS", positive, defaults.resync_seconds),
            proof_seconds=read("PROOF_SECONDS", not_negative, defaults.proof_seconds),
            proof_url=read("PROOF_URL", str, defaults.proof_url),
            workers=read("WORKERS", count, defaults.workers),
            requests_per_second=read("REQUESTS_PER_SECOND", positive, defaults.requests_per_second),
            operator_deployment=read("OPERATOR_DEPLOYMENT", namespaced, defaults.operator_deployment),
            lease=read("LEASE", namespaced, defaults.lease),
            lease_seconds=read("LEASE_SECONDS", count, defaults.lease_seconds),
        )

    def only(self, namespaces: Sequence[str]) -> Settings:
        """Return the settings for hand work in *namespaces*, which is none of the operator's business; without any: these."""
        if not namespaces:
            return self
        there = tuple(sorted(set(namespaces)))
        return replace(self, watch_namespaces=there, namespace_selector=None, operator_deployment=None, lease=None)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one variable after the other; absent or empty means the default."""

    environ: Mapping[str, str]

    def __call__(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed variable *name*; raises SettingsError with the variable's full name."""
        text = self.environ.get(PREFIX + name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise SettingsError(f'{PREFIX}{name}: "{text}" {error}') from None


def names(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list, sorted and without repetitions."""
    return tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))


def namespaced(text: str) -> tuple[str, str]:
    """Parse NAMESPACE/NAME."""
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise ValueError('is not of the form NAMESPACE/NAME; write e.g. "production/payment-service"')
    return namespace, name


def number(text: str) -> float:
    """Parse a number of seconds or requests."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("is not a number; write e.g. 10") from None


def positive(text: str) -> float:
    """Parse a number above zero."""
    if (value := number(text)) <= 0:
        raise ValueError("is not above zero")
    return value


def not_negative(text: str) -> float:
    """Parse a number that may be zero (which switches the thing off)."""
    if (value := number(text)) < 0:
        raise ValueError("is below zero; 0 switches it off")
    return value


def count(text: str) -> int:
    """Parse a whole number of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("is not a whole number of at least 1")
    return int(text)


def port(text: str) -> int:
    """Parse a TCP port; 0 asks the system for a free one."""
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - the highest TCP port
        raise ValueError("is not a port between 0 and 65535")
    return int(text)


def level(text: str) -> str:
    """Parse a log level."""
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"is not a log level; choose one of {', '.join(LOG_LEVELS)}")
    return text.lower()

"""The managed Collector, as pure functions: `config` (a dict), `render` (its YAML), `manifests` (what to apply)."""

from grpctracing.collector.config import config, render
from grpctracing.collector.manifests import manifests
from grpctracing.collector.names import CONFIG_HASH, HEADLESS, NAME, PORT_METRICS

__all__ = ["CONFIG_HASH", "HEADLESS", "NAME", "PORT_METRICS", "config", "manifests", "render"]

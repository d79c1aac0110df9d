"""Settings: defaults, and refusals that say which variable, which value, and what would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from grpctracing.kube.selectors import parse
from grpctracing.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"GRPCTRACING_WATCH_NAMESPACES": "", "GRPCTRACING_HTTP_PORT": " "}) == Settings()


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            "GRPCTRACING_WATCH_NAMESPACES": "production, staging,,production",
            "GRPCTRACING_COLLECTOR_IMAGE": "registry/collector:1",
            "GRPCTRACING_PAYLOAD_DIR": "/app/payload",
            "GRPCTRACING_HTTP_PORT": "9090",
            "GRPCTRACING_LOG_LEVEL": "DEBUG",
            "GRPCTRACING_RESYNC_SECONDS": "30",
            "GRPCTRACING_PROOF_SECONDS": "0",
            "GRPCTRACING_PROOF_URL": "http://localhost/{namespace}",
            "GRPCTRACING_WORKERS": "2",
            "GRPCTRACING_REQUESTS_PER_SECOND": "5.5",
            "GRPCTRACING_OPERATOR_DEPLOYMENT": "system/operator",
            "GRPCTRACING_LEASE": "system/lease",
            "GRPCTRACING_LEASE_SECONDS": "30",
        }
    )
    assert settings == Settings(
        watch_namespaces=("production", "staging"),
        collector_image="registry/collector:1",
        payload_dir=Path("/app/payload"),
        http_port=9090,
        log_level="debug",
        resync_seconds=30,
        proof_seconds=0,
        proof_url="http://localhost/{namespace}",
        workers=2,
        requests_per_second=5.5,
        operator_deployment=("system", "operator"),
        lease=("system", "lease"),
        lease_seconds=30,
    )


def test_namespaces_are_chosen_by_name_or_by_label():
    chosen = {"GRPCTRACING_NAMESPACE_SELECTOR": "team in (a, b)"}
    assert Settings.from_env(chosen) == Settings(namespace_selector=parse("team in (a, b)"))
    assert Settings.from_env(chosen).only(["shop"]) == Settings(watch_namespaces=("shop",)), "hand work"
    with pytest.raises(SettingsError, match=r"watchNamespaces and namespaceSelector.* set one of them"):
        Settings.from_env({**chosen, "GRPCTRACING_WATCH_NAMESPACES": "shop"})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HTTP_PORT", "http", "not a port"),
        ("HTTP_PORT", "70000", "not a port"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("RESYNC_SECONDS", "ten", "not a number"),
        ("RESYNC_SECONDS", "0", "not above zero"),
        ("PROOF_SECONDS", "-1", "0 switches it off"),
        ("WORKERS", "0", "at least 1"),
        ("OPERATOR_DEPLOYMENT", "operator", "NAMESPACE/NAME"),
        ("LEASE", "operator", "NAMESPACE/NAME"),
        ("LEASE_SECONDS", "2.5", "whole number"),
        ("NAMESPACE_SELECTOR", "team: a", "write e.g."),
        ("NAMESPACE_SELECTOR", "team,!team", "contradicts itself"),
    ],
)
def test_a_refusal_helps(name, value, words):
    with pytest.raises(SettingsError, match=words) as caught:
        Settings.from_env({f"GRPCTRACING_{name}": value})
    assert str(caught.value).startswith(f'GRPCTRACING_{name}: "{value}"')

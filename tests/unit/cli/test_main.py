"""The command line: exit codes and what a user reads."""

from __future__ import annotations

import pytest
import yaml

from grpctracing import cli
from grpctracing.cli import explain
from grpctracing.injection import Action, Reason, State, Verdict


def test_crds_prints_the_definition(capsys):
    assert cli.main(["crds"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["metadata"]["name"] == "grpctracings.grpctracing.dev"


def test_a_wrong_setting_is_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("GRPCTRACING_HTTP_PORT", "http")
    assert cli.main(["run"]) == 2
    assert capsys.readouterr().err == 'grpctracing: GRPCTRACING_HTTP_PORT: "http" is not a port between 0 and 65535\n'


def test_explain_wants_a_namespace(capsys):
    assert cli.main(["explain", "payment-service"]) == 2
    assert "NAMESPACE/NAME" in capsys.readouterr().err


def test_no_cluster_says_what_to_do(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert cli.main(["explain", "a/b"]) == 1
    assert "Set KUBECONFIG" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["fly"], ["explain"]])
def test_what_is_no_command_is_refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage: grpctracing" in capsys.readouterr().err


def test_explain_shows_the_patch():
    patch = {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}}
    verdict = Verdict(
        Action.INJECT,
        State.PROGRESSING,
        Reason.PATCHING,
        "Patching app.",
        patch,
        "default",
        "payment",
        ("app",),
        None,
        ("b",),
    )
    text = explain.text(("Deployment", "production", "payment"), verdict)
    assert "Action      inject" in text
    assert "Also match  b" in text
    assert '"name": "app"' in text

"""Tokens in files: read again in time, whatever the wall clock does, and kept while the file is not there."""

from __future__ import annotations

import json

from kubernetes.aio.client import Configuration

from grpctracing.kube import config
from grpctracing.kube.config import TOKEN_SECONDS, TokenFile


def test_a_token_is_read_again_once_a_minute_and_after_a_refusal(tmp_path):
    now = 0.0
    file = tmp_path / "token"
    file.write_text("one\n")
    configuration = Configuration()
    source = configuration.refresh_api_key_hook = TokenFile(file, clock=lambda: now)
    source(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer one"
    file.write_text("two")
    source(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer one"
    assert config.refresh(configuration)
    assert not config.refresh(configuration), "nothing new"
    source(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer two"
    file.write_text("three")
    now += TOKEN_SECONDS
    source(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer three"


def test_a_token_that_cannot_be_read_stays(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenFile(file)
    assert source.read()
    for content in (None, ""):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        assert not source.read()
        assert source.token == "one"


async def test_the_token_file_of_a_kubeconfig_is_followed(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig.write_text(json.dumps(content))
    (tmp_path / "token").write_text("one")
    loaded = await config.load({"KUBECONFIG": str(kubeconfig)})
    (tmp_path / "token").write_text("two")
    config.refresh(loaded)
    assert (await loaded.auth_settings())["BearerToken"]["value"] == "Bearer two"


def test_a_kubeconfig_without_one_has_none(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    assert config.token_file(kubeconfig) is None
    assert not config.refresh(Configuration())

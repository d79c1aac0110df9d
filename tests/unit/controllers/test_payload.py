"""The bootstrap's files as keys of a ConfigMap."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grpctracing.controllers.payload import load
from grpctracing.settings import SettingsError

PAYLOAD = Path(__file__).parents[3] / "sidecar" / "payload"


def test_modules_have_flat_keys_that_a_config_map_accepts():
    payload = load(PAYLOAD)
    assert {"sitecustomize.py", "_grpctracing.__init__.py"} <= payload.keys()
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) for key in payload)


def test_what_is_not_source_does_not_travel(tmp_path):
    (tmp_path / "_grpctracing" / "__pycache__").mkdir(parents=True)
    for name in (
        "sitecustomize.py",
        "_grpctracing/hook.py",
        "_grpctracing/notes.txt",
        "_grpctracing/__pycache__/x.pyc",
    ):
        (tmp_path / name).write_text("#")
    assert load(tmp_path).keys() == {"sitecustomize.py", "_grpctracing.hook.py"}


@pytest.mark.parametrize("present", [(), ("sitecustomize.py",)])
def test_a_folder_without_it_is_refused(tmp_path, present):
    for name in present:
        (tmp_path / name).write_text("#")
    with pytest.raises(SettingsError, match="GRPCTRACING_PAYLOAD_DIR"):
        load(tmp_path)


def test_more_than_a_config_map_holds_is_refused(tmp_path):
    (tmp_path / "_grpctracing").mkdir()
    (tmp_path / "sitecustomize.py").write_text("#" * 1_000_000)
    (tmp_path / "_grpctracing" / "hook.py").write_text("#")
    with pytest.raises(SettingsError, match="1000001 bytes"):
        load(tmp_path)

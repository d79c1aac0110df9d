# A test is called by the runner alone.
import subprocess
import sys
import tarfile

import pytest

from tests.cluster.containerd import one_binary_archive
from tests.cluster.errors import ClusterError
from tests.cluster.images import IMAGES, Base, Built, archive
from tests.cluster.paths import REPOSITORY

BASE = Base("localhost/base:dev", "trixie", ("python3",))


@pytest.fixture
def image(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.cluster.images.REPOSITORY", tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("print()\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return Built(tmp_path, "Dockerfile", ("Dockerfile", "app"), BASE)


def test_a_changed_source_changes_the_key(image):
    before = image.key()
    (image.context / "app" / "main.py").write_text("print(1)\n")
    assert image.key() != before


def test_compiled_files_and_files_of_others_leave_the_key_alone(image):
    before = image.key()
    (image.context / "app" / "__pycache__").mkdir()
    (image.context / "app" / "__pycache__" / "main.pyc").write_text("x")
    (image.context / "README.md").write_text("x")
    assert image.key() == before


def test_another_base_changes_the_key(image):
    other = Built(image.context, image.dockerfile, image.sources, Base(BASE.reference, "bullseye", BASE.packages))
    assert image.key() != other.key()


def test_an_absent_source_is_told(image):
    broken = Built(image.context, image.dockerfile, ("Dockerfile", "nowhere"), BASE)
    with pytest.raises(ClusterError, match="the image needs nowhere"):
        broken.key()


def test_an_unknown_image_is_told_with_the_known_ones():
    with pytest.raises(ClusterError, match=r"no image is called 'nginx'; there are: grpctracing/operator:dev"):
        archive("nginx")


@pytest.mark.parametrize("reference", IMAGES)
def test_images_are_ours_and_never_pulled(reference):
    assert reference.startswith("grpctracing/")
    assert reference.endswith(":dev")


def test_an_image_of_one_binary_holds_just_that(tmp_path):
    binary = tmp_path / "pause"
    binary.write_bytes(b"\x7fELF")
    one_binary_archive(tmp_path / "image.tar", "grpctracing/pause:dev", binary)
    with tarfile.open(tmp_path / "image.tar") as image:
        assert sorted(image.getnames()) == ["config.json", "layer.tar", "manifest.json"]
        with tarfile.open(fileobj=image.extractfile("layer.tar")) as layer:
            assert [(entry.name, entry.mode) for entry in layer] == [("pause", 0o755)]


@pytest.mark.parametrize("command", ["check", "down", "status"])
def test_these_commands_load_the_standard_library_alone(command):
    modules = {"check": "tests.cluster.check"}.get(command, "tests.cluster.operate")
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import {modules}, tests.cluster.control_plane"
    # -I -S: no site-packages, so any other import fails
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)

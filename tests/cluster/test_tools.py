# A test is called by the runner alone.
import pytest

from tests.cluster import tools
from tests.cluster.errors import ClusterError
from tests.cluster.tools import TOOLS, GoBuild


@pytest.fixture
def module(tmp_path):
    (tmp_path / "go.mod").write_text("module example.org/thing\n")
    (tmp_path / "main.go").write_text("package main\n")
    return GoBuild("thing", tmp_path, {"thing": "."})


def test_the_same_content_has_the_same_key(module):
    assert module.key("go1.26") == module.key("go1.26")


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "part/other.go"])
def test_a_changed_file_changes_the_key(module, name):
    before = module.key("go1.26")
    path = module.directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed\n")
    assert module.key("go1.26") != before


def test_another_go_version_and_other_flags_change_the_key(module):
    flagged = GoBuild("thing", module.directory, module.binaries, ldflags="-X a=b")
    tagged = GoBuild("thing", module.directory, module.binaries, tags="grpcnotrace")
    keys = {module.key("go1.26"), module.key("go1.27"), flagged.key("go1.26"), tagged.key("go1.26")}
    assert len(keys) == 4


def test_a_file_that_does_not_matter_leaves_the_key_alone(module):
    before = module.key("go1.26")
    (module.directory / "notes.md").write_text("changed\n")
    assert module.key("go1.26") == before


def test_an_unknown_tool_is_told_with_the_known_ones():
    with pytest.raises(ClusterError, match=r"no tool is called 'kubeadm'; there are: .*kubectl"):
        tools.tool("kubeadm")


def test_a_built_tool_is_found_without_building(module, tmp_path, monkeypatch):
    monkeypatch.setenv("GRPCTRACING_CACHE", str(tmp_path / "cache"))
    builds = []
    monkeypatch.setattr(tools, "_build", lambda _build, home: (home.mkdir(), builds.append(home)))
    monkeypatch.setattr(tools, "go_version", lambda: "go1.26")
    assert tools.built(module) == tools.built(module) == builds[0]
    assert len(builds) == 1


@pytest.mark.parametrize("build", TOOLS, ids=lambda build: build.name)
def test_every_tool_has_its_module_in_the_checkout(build):
    text = (build.directory / "go.mod").read_text()
    assert f"module grpctracing.dev/tools/{build.name}\n" in text
    for package in build.binaries.values():
        assert package == "." or any(f"{package}/".startswith(f"{line}/") for line in required(text)), package


def required(text: str) -> list[str]:
    return [line.removeprefix("require ").split()[0] for line in text.splitlines() if " v" in line and "=>" not in line]

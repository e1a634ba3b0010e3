"""The plugin as FiftyOne loads it: from a folder, under a name of FiftyOne's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import fiftyone_plugin
from fiftyone_plugin.errors import FiftyOneError
from fiftyone_plugin.operators import MODULES, register_all
from fiftyone_plugin.start.plugin_folder import PLUGIN, install_plugin, uninstall_plugin

FOLDER = Path(fiftyone_plugin.__file__).parent


class Registered:
    """What FiftyOne's registration context does with a class."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.risks: list[str] = []

    def register(self, operator: Any) -> None:
        config = operator().config
        self.names.append(config.name)
        self.risks.append(config.risk_level.value)


@pytest.fixture
def plugins(fiftyone_here: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty folder of plugins that FiftyOne uses."""
    before = fiftyone_here.config.plugins_dir
    fiftyone_here.config.plugins_dir = str(tmp_path / "plugins")
    yield tmp_path / "plugins"
    fiftyone_here.config.plugins_dir = before


def test_everything_registered_is_declared_and_the_other_way_round() -> None:
    declared = yaml.safe_load((FOLDER / "fiftyone.yml").read_text())
    registered = Registered()
    register_all(registered)
    names = declared["operators"] + declared.get("panels", [])
    assert sorted(registered.names) == sorted(names)
    assert len(set(names)) == len(names)
    assert declared["name"] == PLUGIN
    assert "dangerous" not in registered.risks


def test_each_module_of_the_table_has_operators() -> None:
    from importlib import import_module

    for module in MODULES:
        assert import_module(module).OPERATORS


@pytest.mark.parametrize("copy", [False, True])
def test_fiftyone_loads_the_plugin_from_its_folder(plugins: Path, copy: bool) -> None:
    from fiftyone.plugins.context import build_plugin_contexts

    target = install_plugin(plugins, copy=copy)
    assert target.is_symlink() is not copy
    contexts = {context.name: context for context in build_plugin_contexts()}
    assert contexts[PLUGIN].errors == []
    uris = {operator.uri for operator in contexts[PLUGIN].instances}
    assert f"{PLUGIN}/segment_prompts" in uris
    module = sys.modules["fiftyone.plugins.orgs.sam_plugins.sam"]
    assert Path(module.__file__ or "").parent == target
    assert uninstall_plugin(plugins)
    assert not os.path.lexists(target)
    assert PLUGIN not in {context.name for context in build_plugin_contexts()}


def test_installing_again_replaces_and_uninstalling_leaves_the_package_alone(
    tmp_path: Path,
) -> None:
    install_plugin(tmp_path)
    install_plugin(tmp_path, copy=True)
    install_plugin(tmp_path)
    assert uninstall_plugin(tmp_path)
    assert not uninstall_plugin(tmp_path)
    assert (FOLDER / "fiftyone.yml").is_file()


def test_a_folder_that_is_not_the_plugin_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    own = tmp_path / PLUGIN / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    for call in (install_plugin, uninstall_plugin):
        with pytest.raises(FiftyOneError, match="found something else"):
            call(tmp_path)
    (own.parent / "fiftyone.yml").write_text(f'name: "{PLUGIN}"')
    with pytest.raises(FiftyOneError, match="found something else"):
        install_plugin(tmp_path)
    assert own.read_text() == "mine"


def test_a_second_plugin_of_the_name_is_refused_as_fiftyone_stops_at_it(tmp_path: Path) -> None:
    downloaded = tmp_path / "github" / "sam-plugins"
    downloaded.mkdir(parents=True)
    (downloaded / "fiftyone.yml").write_text(f'type: plugin\nname: "{PLUGIN}"\n')
    with pytest.raises(FiftyOneError, match="remove that one first") as refused:
        install_plugin(tmp_path)
    assert str(downloaded) in str(refused.value)
    assert not (tmp_path / PLUGIN).exists()


@pytest.mark.parametrize("missing", ["fiftyone_plugin", "sam_plugins"])
def test_without_its_package_the_plugin_says_what_to_install(
    fiftyone_environment: dict[str, str], tmp_path: Path, missing: str
) -> None:
    """As after `fiftyone plugins download` alone."""
    install_plugin(tmp_path, copy=True)
    code = f"""
import sys
sys.modules[{missing!r}] = None
from fiftyone.plugins.context import build_plugin_contexts
(context,) = [c for c in build_plugin_contexts() if c.name == {PLUGIN!r}]
print(context.errors[-1], context.instances)
"""
    environment = {**fiftyone_environment, "FIFTYONE_PLUGINS_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    told = "ImportError: The plugin @sam-plugins/sam needs its package"
    assert told in ran.stdout
    assert 'pip install "sam-plugins[fiftyone]"' in ran.stdout
    assert ran.stdout.rstrip().endswith("[]")
    logged = ran.stdout.partition("Traceback")[0]
    assert 'pip install "sam-plugins[fiftyone]"' in logged


def test_fiftyone_finds_the_requirements_of_the_plugin(plugins: Path) -> None:
    import fiftyone.plugins as fop

    install_plugin(plugins)
    assert fop.load_plugin_requirements(PLUGIN) == ["sam-plugins[fiftyone]"]

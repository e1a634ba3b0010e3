"""What a user gets: the wheel's content, its metadata, and versions that fit together."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOSTS = {"napari_plugin", "fiftyone_plugin", "labelstudio_backend"}
PACKAGES = {"sam_plugins"} | HOSTS
NANO = "sam_plugins/assets/nano.safetensors"
LARGEST_NANO = 16_000_000
LOADED_BY_NAME = {"xxhash"}
"""Not imported by a statement: chosen at run time by the name of a hash."""


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for group in (PROJECT["dependencies"], *extras) for line in group]


def imported() -> dict[str, set[str]]:
    """Distribution -> the source files that import it."""
    homes = metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for file in (*ROOT.glob("src/**/*.py"), *(f for p in HOSTS for f in (ROOT / p).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - PACKAGES
            for top in tops:
                distribution = canonicalize_name(homes.get(top, [top])[0])
                found.setdefault(distribution, set()).add(str(file.relative_to(ROOT)))
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_wheel_holds_the_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_wheel_holds_every_committed_file_of_its_packages(wheel: zipfile.ZipFile) -> None:
    folders = ["src/sam_plugins", *sorted(HOSTS)]
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is not a git checkout, so the committed files are not known")
    committed = {
        name.removeprefix("src/") for name in listed.stdout.splitlines() if (ROOT / name).exists()
    }
    # The panel's source is not run by anybody: its bundle is.
    committed = {name for name in committed if not name.startswith("fiftyone_plugin/panel/")}
    assert "fiftyone_plugin/dist/index.umd.js" in committed
    assert committed <= set(wheel.namelist())


def test_wheel_carries_manifests_types_and_licence(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    needed = {
        "sam_plugins/py.typed",
        "napari_plugin/napari.yaml",
        "fiftyone_plugin/fiftyone.yml",
    }
    assert needed <= names
    assert {"LICENSE", "NOTICE"} <= {name.rsplit("/", 1)[-1] for name in names}


def test_wheel_carries_the_bundled_weights(
    wheel: zipfile.ZipFile, require: Callable[..., None]
) -> None:
    require("nano", NANO in wheel.namelist())
    assert wheel.getinfo(NANO).file_size <= LARGEST_NANO


def test_metadata_offers_the_extras_commands_and_pythons(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    found = metadata.PathDistribution(zipfile.Path(wheel, name.removesuffix("METADATA")))
    assert set(found.metadata.get_all("Provides-Extra")) == {
        "napari",
        "fiftyone",
        "labelstudio",
        "large",
        "openvino",
        "ray",
        "train",
        "dev",
    }
    supported = SpecifierSet(found.metadata["Requires-Python"])
    candidates = ("3.10", "3.11", "3.12", "3.13", "3.14")
    assert list(supported.filter(candidates)) == ["3.11", "3.12", "3.13"]
    points = {(point.group, point.name): point.value for point in found.entry_points}
    assert points["console_scripts", "sam-plugins"] == "sam_plugins.cli:main"
    assert points["napari.manifest", "sam-plugins"] == "napari_plugin:napari.yaml"


def test_napari_accepts_the_manifest() -> None:
    command = [sys.executable, "-m", "npe2", "validate", "napari_plugin/napari.yaml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "valid" in result.stdout


def test_versions_are_said_once() -> None:
    manifest = (ROOT / "fiftyone_plugin" / "fiftyone.yml").read_text()
    assert re.search(r"^version: (.+)$", manifest, re.MULTILINE)[1] == PROJECT["version"]
    assert f"\n## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_what_is_imported_is_asked_for_and_the_other_way_round() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    for extra in set(extras) - {"dev"}:
        asked |= {canonicalize_name(Requirement(line).name) for line in extras[extra]}
    found = imported()
    assert {name: files for name, files in found.items() if name not in asked} == {}
    always = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert sorted(always - set(found) - LOADED_BY_NAME) == []


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_known_good_version_is_within_what_the_package_asks_for(requirement: Requirement) -> None:
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_neither_torchvision_nor_timm_is_ever_asked_for() -> None:
    asked = {canonicalize_name(requirement.name) for requirement in requirements()} | set(pins())
    assert asked.isdisjoint({"torchvision", "timm"})

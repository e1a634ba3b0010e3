"""What the documentation shows exists and runs."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")],
    key=lambda page: page.name,
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Callable[..., None]
) -> None:
    require("nano", (ROOT / "src/sam_plugins/assets/nano.safetensors").exists())
    blocks = PYTHON.findall((ROOT / "README.md").read_text())
    assert blocks
    picture = np.full((120, 200, 3), 40, np.uint8)
    picture[60:100, 90:150] = (220, 180, 60)
    Image.fromarray(picture).save(tmp_path / "cells.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["masks"]) == 3
    assert (tmp_path / "cells_overlay.png").exists()


def test_commands_of_the_readme_are_understood() -> None:
    from sam_plugins.cli.app import COMMANDS, app

    blocks = "\n".join(SHELL.findall((ROOT / "README.md").read_text()))
    lines = [line.split("#")[0].split() for line in blocks.splitlines()]
    shown = set()
    for words in (line for line in lines if line[:1] == ["sam-plugins"]):
        if words[1] in {"labelstudio", "fiftyone"}:
            path = words[1:3]
        else:
            path = [next(word for word in words if word in COMMANDS)]
        page = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).output
        options = {word for word in words if word.startswith("--")}
        assert [option for option in sorted(options) if option not in page] == []
        shown.add(path[0])
    assert set(COMMANDS) - {"demo"} <= shown


PARTS = {
    "src/sam_plugins": "# Architecture",
    "napari_plugin": "## The napari plugin",
    "labelstudio_backend": "## The Label Studio backend",
    "fiftyone_plugin": "## The FiftyOne plugin",
}
"""Package -> the heading of docs/architecture.md under which its rooms stand."""


@pytest.mark.parametrize("package", PARTS)
def test_every_room_is_in_the_architecture(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    begins = [text.index(f"{heading}\n") for heading in PARTS.values()]
    place = list(PARTS).index(package)
    part = text[begins[place] : [*begins[1:], None][place]]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    folder = ROOT / package
    rooms = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert rooms - {"__init__", "__main__", "_wsgi"} - described == set()
    assert [name for name in described if not list(folder.glob(f"{name}*"))] == []

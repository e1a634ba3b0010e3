"""docs/napari.md says what the plugin does: its keys, files, commands, tabs and pictures."""

import re
from pathlib import Path

import pytest

pytest.importorskip("napari")
pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)

from typer.main import get_command

from napari_plugin.cli import app
from napari_plugin.export import KINDS
from napari_plugin.ui.keys import KEYS
from sam_plugins import known_models

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "napari.md").read_text("utf-8")


def rows(heading):
    """The rows of the first table of a section, its head left out."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n?)+", section, re.MULTILINE).group()
    return [
        tuple(cell.strip() for cell in line.strip("| ").split("|"))
        for line in table.splitlines()[2:]
    ]


def test_keys_are_those_of_the_plugin():
    assert rows("Keys") == list(KEYS.values())


def test_files_are_those_of_the_plugin():
    assert rows("Export") == [
        (f"{kind.title} (`{kind.suffix}`)", kind.note) for kind in KINDS.values()
    ]


def test_pictures_exist_are_shown_and_are_small():
    named = re.findall(r"!\[[^\]]+\]\(images/([^)]+)\)", GUIDE)
    there = {path.name for path in (ROOT / "docs" / "images").glob("napari-*.png")}
    assert sorted(named) == sorted(there)
    for name in named:
        path = ROOT / "docs" / "images" / name
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size < 200_000


def test_commands_exist():
    from sam_plugins.cli.app import COMMANDS
    from sam_plugins.cli.cache import cache

    groups = {"napari": get_command(app).commands, "cache": get_command(cache).commands}
    groups["download"] = {model.name for model in known_models()}
    said = re.findall(r"sam-plugins ([a-z]+)(?: ([a-z_]+))?", GUIDE)
    assert {command for command, _ in said} >= {"napari", "cache", "download"}
    for command, sub in said:
        assert command in {*COMMANDS, "napari"}
        if command in groups:
            assert sub in groups[command]
    options = {option for each in groups["napari"]["replay"].params for option in each.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", GUIDE)) <= options


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`?make ([a-z]+)`", GUIDE):
        assert f"\n{target}:\n" in makefile


def test_models_and_variables_exist():
    names = {model.name for model in known_models()}
    assert set(re.findall(r"`(vit_\w+|nano)`", GUIDE)) <= names
    source = "".join(
        path.read_text("utf-8")
        for folder in ("src/sam_plugins", "napari_plugin")
        for path in (ROOT / folder).rglob("*.py")
    )
    for variable in set(re.findall(r"SAM_PLUGINS_[A-Z_]+", GUIDE)):
        assert f'"{variable}"' in source


def test_sentences_that_users_meet_are_in_the_source():
    """Each quoted sentence, piece by piece between the dots that stand for names."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    source += "".join(path.read_text("utf-8") for path in (ROOT / "napari_plugin").rglob("*.py"))
    # Sentences are broken over lines of string literals.
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    quoted = [row[0] for row in rows("When something goes wrong") if row[0].startswith("*")]
    assert len(quoted) > 5
    for sentence in quoted:
        for piece in sentence.strip("*").split("..."):
            assert piece.strip() in source, sentence

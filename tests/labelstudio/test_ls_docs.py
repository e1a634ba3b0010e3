"""The guide says what the code does: attributes, commands, settings, metrics."""

import re
from pathlib import Path

from typer.testing import CliRunner

import labelstudio_backend
from labelstudio_backend.cli import app
from labelstudio_backend.settings import Settings

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "label_studio.md").read_text()
PACKAGE = Path(labelstudio_backend.__file__).parent


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    part = GUIDE.split(f"\n## {heading}\n")[1]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_attribute_is_in_the_guide_and_no_other() -> None:
    source = "".join(file.read_text() for file in (PACKAGE / "controls").glob("*.py"))
    asked = set(re.findall(r'"(sam_[a-z_]+)"', source))
    table = set(re.findall(r"^\| `(sam_[a-z_]+)` \|", GUIDE, re.MULTILINE))
    assert table == asked
    assert set(re.findall(r'\b(sam_[a-z_]+)="', GUIDE)) <= asked


def test_commands_of_the_guide_exist() -> None:
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"sam-plugins labelstudio (.+)", blocks)
    assert {line.split()[0] for line in lines} >= {"serve", "doctor", "prelabel", "export"}
    named = re.findall(r"`sam-plugins labelstudio (.+?)`", GUIDE)
    for line in [*lines, *named]:
        command, *rest = line.split()
        page = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert page.exit_code == 0, line
        options = {word for word in rest if word.startswith("--")}
        assert not [option for option in options if option not in page.output]


def test_settings_of_the_guide_are_the_backends() -> None:
    known = set(Settings().as_environment()) | {"SAM_PLUGINS_CACHE"}
    named = {name for cells in rows("Settings") for name in re.findall(r"`([A-Z_]{4,})`", cells[0])}
    assert named == known - set(Settings().as_environment()).intersection(other_names())


def other_names() -> set[str]:
    from labelstudio_backend.settings import OTHER_NAMES

    return set(OTHER_NAMES)


def test_metrics_of_the_guide_are_counted() -> None:
    source = (PACKAGE / "server" / "metrics.py").read_text()
    for name in re.findall(r"`(sam_plugins_[a-z_]+)`", GUIDE):
        assert f'"{name.removesuffix("_total")}"' in source, name

"""`fiftyone plugins download`, from an archive of the repository such as a code host offers it."""

import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fiftyone_plugin
from fiftyone_plugin.start.plugin_folder import PLUGIN

FOLDER = Path(fiftyone_plugin.__file__).parent
NOT_IN_THE_REPOSITORY = {"node_modules", "__pycache__"}

Run = Callable[..., str]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def archive_url(tmp_path: Path) -> Iterator[str]:
    """The plugin's folder and files beside it, one folder down, as archives of a branch are."""
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "main.zip", "w") as archive:
        archive.writestr("sam-plugins-main/README.md", "# sam-plugins\n")
        archive.writestr("sam-plugins-main/src/sam_plugins/__init__.py", "")
        for folder, names, files in os.walk(FOLDER):
            names[:] = [name for name in names if name not in NOT_IN_THE_REPOSITORY]
            for name in files:
                path = Path(folder) / name
                inside = Path("sam-plugins-main/fiftyone_plugin") / path.relative_to(FOLDER)
                archive.write(path, inside)
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/main.zip"
        server.shutdown()
        thread.join()


@pytest.fixture
def run(fiftyone_environment: dict[str, str], tmp_path: Path) -> Run:
    """A command of the program `fiftyone`, with an empty folder of plugins; gives what it said."""
    environment = {**fiftyone_environment, "FIFTYONE_PLUGINS_DIR": str(tmp_path / "plugins")}
    # A program of the user's is started elsewhere: the repository must not be found by chance.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def command(*arguments: str) -> str:
        ran = subprocess.run(
            [str(Path(sys.executable).parent / "fiftyone"), *arguments],
            env=environment,
            cwd=elsewhere,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return command


def test_downloaded_plugin_has_its_operators_and_its_panel(
    run: Run, archive_url: str, tmp_path: Path
) -> None:
    said = run("plugins", "download", archive_url)
    assert f"Copying plugin '{PLUGIN}'" in said
    downloaded = tmp_path / "plugins" / PLUGIN
    bundle = "dist/index.umd.js"
    assert (downloaded / bundle).read_bytes() == (FOLDER / bundle).read_bytes()
    listed = run("operators", "list", "--names-only")
    assert listed.splitlines().count(PLUGIN) == 1
    ours = listed.partition(f"{PLUGIN}\n")[2].splitlines()
    assert {"    segment_prompts", "    manage_runs"} <= set(ours)
    assert "needs its package" not in listed
    # Again, as when a new version is out.
    assert "Skipping existing plugin" in run("plugins", "download", archive_url)
    assert "Overwriting existing plugin" in run("plugins", "download", archive_url, "--overwrite")

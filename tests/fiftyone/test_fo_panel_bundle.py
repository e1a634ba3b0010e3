"""The bundle that is committed is what its source builds to, with the versions of its lock file."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import fiftyone_plugin

PLUGIN = Path(fiftyone_plugin.__file__).parent
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")


def test_the_bundle_is_built_from_its_source(require: Any, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    require("npm", npm is not None)
    folder = tmp_path / "panel"
    shutil.copytree(PLUGIN / "panel", folder, ignore=shutil.ignore_patterns("node_modules"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(npm), *arguments], cwd=folder, capture_output=True, text=True, timeout=300
        )

    installed = run("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if any(sign in installed.stderr for sign in NO_NETWORK):
        require("npm", False)
    assert installed.returncode == 0, installed.stderr
    built = run("run", "build", "--", f"--outfile={tmp_path / 'built.js'}")
    assert built.returncode == 0, built.stdout + built.stderr
    committed = (PLUGIN / "dist" / "index.umd.js").read_bytes()
    assert (tmp_path / "built.js").read_bytes() == committed, "run scripts/build-panel"


def test_versions_are_pinned_and_no_registry_is_named() -> None:
    package = json.loads((PLUGIN / "panel" / "package.json").read_text())
    lock = json.loads((PLUGIN / "panel" / "package-lock.json").read_text())
    for name, version in package["devDependencies"].items():
        assert version[0].isdigit()
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert all("integrity" in one for name, one in lock["packages"].items() if name)
    assert "resolved" not in json.dumps(lock)
    assert "://" not in (PLUGIN / "dist" / "index.umd.js").read_text()

"""What the linters cannot hold: file length, free imports, names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "sam_plugins": ROOT / "src" / "sam_plugins",
    "napari_plugin": ROOT / "napari_plugin",
    "fiftyone_plugin": ROOT / "fiftyone_plugin",
    "labelstudio_backend": ROOT / "labelstudio_backend",
}
SOURCES = sorted(file for folder in PACKAGES.values() for file in folder.rglob("*.py"))
LONGEST = 400

IMPORT_EVERYTHING = """
import importlib, logging, os, pkgutil, sys, warnings
import cv2, torch  # what these libraries set on their own import is theirs
try:
    import napari.layers, napari.utils.notifications, qtpy.QtTest, qtpy.QtWidgets
    window = True
except ImportError:  # a machine without the libraries that Qt needs
    window = False
import fiftyone, fiftyone.core.models, fiftyone.operators  # the same

def settings():
    return {
        "environment": dict(os.environ),
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "log handlers": list(logging.getLogger().handlers),
        "working folder": os.getcwd(),
    }

before = settings()
names = [name for package in sys.argv[1:] for name in (package, *(
    module.name
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
    if not module.name.endswith("__main__")
))]
for name in names:
    if name.startswith("napari_plugin.ui") and not window:
        continue
    importlib.import_module(name)
    after = settings()
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        sys.exit(f"importing {name} changed {changed}")
    if os.listdir():
        sys.exit(f"importing {name} wrote {os.listdir()}")
"""


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def run(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error:::sam_plugins", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("file", SOURCES, ids=named)
def test_file_can_be_read_in_one_go_and_says_what_it_is(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module starts by saying what it is"
    assert len(text.splitlines()) <= LONGEST
    assert file.stem not in {"utils", "helpers", "manager"}
    nodes = list(ast.walk(tree))
    asserts = [node.lineno for node in nodes if isinstance(node, ast.Assert)]
    prints = [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not asserts, "a user's mistake is an error of sam_plugins.errors"
    assert not prints, "what is said to people goes through the command line's console"


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_neither_torch_nor_a_host(package: str) -> None:
    heavy = ("torch", "torchvision", "transformers", "cv2", "napari", "qtpy", "fiftyone")
    result = run(f"import {package}, sys; print(*(m for m in {heavy} if m in sys.modules))")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_importing_any_module_changes_nothing(tmp_path: Path) -> None:
    result = run(IMPORT_EVERYTHING, *PACKAGES, cwd=tmp_path)
    assert result.returncode == 0, result.stderr

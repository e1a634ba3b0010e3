import subprocess
import sys

import pytest

import sam_plugins


def fresh(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_all_is_sorted_and_complete():
    public = [name for name in sam_plugins.__all__ if name != "__version__"]
    capitals_first = sorted(
        public, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert public == capitals_first
    assert set(public) == set(sam_plugins._HOMES)
    assert dir(sam_plugins) == sorted(sam_plugins.__all__)


@pytest.mark.parametrize("name", sam_plugins.__all__)
def test_every_name_is_there_and_knows_its_home(name):
    value = getattr(sam_plugins, name)
    assert value is getattr(sam_plugins, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("sam_plugins.")


def test_nothing_else_is_visible():
    visible = fresh(
        "import sam_plugins\n"
        "from sam_plugins import *\n"
        "print(*(n for n in list(globals()) if not n.startswith('__') and n != 'sam_plugins'))"
    )
    assert sorted(visible) == sorted(set(sam_plugins.__all__) - {"__version__"})


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        sam_plugins.segment  # noqa: B018
    assert not hasattr(sam_plugins, "__wrapped__")


def test_importing_the_core_loads_nothing_heavy():
    heavy = ("torch", "PIL", "numpy", "scipy", "skimage", "tifffile", "rich", "typer")
    assert fresh(f"import sam_plugins, sys; print(*(m for m in {heavy} if m in sys.modules))") == []


ADAPTERS = ["napari_plugin", "fiftyone_plugin", "labelstudio_backend"]
FOR_ADAPTERS = ["types", "errors", "ports", "images", "masks", "formats", "evaluation"]
WITHOUT_TORCH = [*FOR_ADAPTERS, "automatic", "session", "testing", "stores", "transforms"]


@pytest.mark.parametrize("module", [*ADAPTERS, *(f"sam_plugins.{n}" for n in WITHOUT_TORCH)])
def test_importing_it_does_not_load_torch(module):
    assert fresh(f"import {module}, sys; print(*(m for m in ('torch',) if m in sys.modules))") == []


def test_the_version_is_that_of_the_package():
    assert sam_plugins.__version__[0].isdigit()

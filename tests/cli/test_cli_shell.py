"""The shell's side: help, common options, errors, exit codes, commands of other packages."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, version

import pytest
import typer

from sam_plugins.cli import app as cli_app
from sam_plugins.cli import common
from sam_plugins.cli.app import COMMANDS, GROUP
from sam_plugins.errors import ModelError
from sam_plugins.testing import FakeSegmenter

QUIET_HELP = """
import sys
from sam_plugins.cli import main
sys.argv = ["sam-plugins", "--help"]
try:
    main()
finally:
    heavy = [name for name in ("torch", "numpy", "PIL", "scipy") if name in sys.modules]
    if heavy:
        sys.exit(f"help imported {heavy}")
"""


def shell(*words, code="from sam_plugins.cli import main; main()", **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_help_lists_every_command_and_loads_nothing_heavy():
    result = shell(code=QUIET_HELP)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert name in result.stdout
    options = ("--model", "--device", "--engine", "--precision", "--json", "--debug", "--version")
    for option in options:
        assert option in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_their_docstrings_say(name):
    target, summary = COMMANDS[name]
    module, _, attribute = target.partition(":")
    found = getattr(import_module(module), attribute)
    said = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    assert said.splitlines()[0] == summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_the_common_options(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert COMMANDS[name][1] in result.stdout
    assert "--device" in result.stdout


def test_no_words_show_the_help(run):
    result = run()
    assert "predict" in result.output


def test_version_is_the_packages(run):
    result = run("--version")
    assert (result.exit_code, result.stdout.strip()) == (0, f"sam-plugins {version('sam-plugins')}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predrict"], "predrict"),
        (["predict"], "IMAGE"),
        (["predict", "x.png"], "--point"),
        (["predict", "x.png", "--neg", "1,2"], "--point"),
        (["predict", "x.png", "--point", "3"], "X,Y"),
        (["predict", "x.png", "--point", "3;4"], "X,Y"),
        (["predict", "x.png", "--box", "1,2,3"], "X0,Y0,X1,Y1"),
        (["predict", "x.png", "--colour", "red"], "--colour"),
        (["segment", "x.png", "--points-per-side", "many"], "--points-per-side"),
        (["models", "--model"], "--model"),
        (["download"], "NAME"),
    ],
)
def test_wrong_use_is_exit_code_2_with_a_hint(run, words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_common_options_stand_before_or_after_the_command(run, opened, picture):
    words = ["predict", picture, "--point", "80,60"]
    run("--model", "vit_b", "--device", "cpu", "--json", *words)
    run(*words, "--device=cpu", "--json", "--model", "vit_b")
    assert len(opened) == 2
    assert opened[0] == opened[1] == common.Common("vit_b", "cpu", as_json=True, debug=False)


def test_a_word_after_two_dashes_is_no_option(run):
    result = run("predict", "--point", "1,1", "--", "--json")
    assert result.exit_code == 1
    assert "--json" in result.stderr


def raising(error):
    def open_broken(options):
        raise error

    return open_broken


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelError("Expected a, found b: do c."), "Error: Expected a, found b: do c."),
        (PermissionError(13, "Permission denied", "/x"), "Error: Permission denied: /x"),
        (MemoryError(), "memory"),
        (ZeroDivisionError("by zero"), "Error: unexpected ZeroDivisionError: by zero."),
    ],
)
def test_failures_are_one_sentence_and_exit_code_1(run, picture, monkeypatch, error, said):
    monkeypatch.setattr(common, "open_model", raising(error))
    result = run("predict", picture, "--point", "1,1", "--json")
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_debug_lets_the_error_through(run, picture, monkeypatch):
    error = ModelError("no")
    monkeypatch.setattr(common, "open_model", raising(error))
    assert run("predict", picture, "--point", "1,1", "--debug").exception is error


def test_ctrl_c_is_exit_code_130_without_a_traceback(run, picture, monkeypatch):
    class Interrupted(FakeSegmenter):
        def encode(self, image, *, region=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(common, "open_model", lambda options: Interrupted())
    for words in (["predict", picture, "--point", "1,1"], ["segment", picture]):
        result = run(*words)
        assert result.exit_code == 130
        assert "Stopped" in result.stderr
        assert "Traceback" not in result.stderr


def test_in_a_real_shell_errors_have_no_traceback_unless_asked(tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    words = ["predict", "notes.png", "--point", "1,1"]
    short = shell(*words, cwd=tmp_path)
    assert short.returncode == 1
    assert short.stdout == ""
    assert "notes.png" in short.stderr
    assert "Traceback" not in short.stderr
    long = shell(*words, "--debug", cwd=tmp_path)
    assert long.returncode == 1
    assert "Traceback" in long.stderr
    assert shell("predict", cwd=tmp_path).returncode == 2


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """Commands that another package brings: one works, one cannot be loaded, one hides ours."""
    (tmp_path / "foreign_tool.py").write_text(
        "import typer\n"
        "def greet(name: str) -> None:\n"
        '    """Greet."""\n'
        "    typer.echo(f'hello {name}')\n"
        "tools = typer.Typer()\n"
        "@tools.command()\n"
        "def one() -> None: typer.echo('one')\n"
        "@tools.command()\n"
        "def two() -> None: typer.echo('two')\n"
    )
    (tmp_path / "foreign_broken.py").write_text("raise RuntimeError('half installed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        EntryPoint("greet", "foreign_tool:greet", GROUP),
        EntryPoint("tools", "foreign_tool:tools", GROUP),
        EntryPoint("broken", "foreign_broken:main", GROUP),
        EntryPoint("models", "foreign_broken:main", GROUP),
    ]
    monkeypatch.setattr(cli_app, "entry_points", lambda group: entries)


def test_commands_of_other_packages_run(run, foreign):
    result = run("greet", "you")
    assert (result.exit_code, result.stdout) == (0, "hello you\n")
    assert run("tools", "two").stdout == "two\n"
    assert "foreign_tool" in run("--help").stdout


def test_a_broken_command_of_another_package_breaks_only_itself(run, foreign):
    result = run("broken")
    assert result.exit_code == 1
    assert "half installed" in result.stderr
    assert "foreign_broken:main" in result.stderr
    assert run("--help").exit_code == 0
    assert run("models", "--json").exit_code == 0

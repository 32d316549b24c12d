import subprocess
import sys

import pytest

from loopyvq import __version__
from loopyvq.cli.main import COMMANDS

NO_TORCH = """
import sys
from loopyvq.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert stop.code == 0, stop.code
assert "torch" not in sys.modules and "numpy" not in sys.modules
"""


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples_and_does_not_import_torch(command):
    words = [*command.split(), "--help"]
    script = [sys.executable, "-c", NO_TORCH, *words]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    example = f"examples:\n  loopyvq {command}"
    assert (example if command else "COMMAND") in done.stdout


def test_version(run):
    assert run("--version") == (0, f"loopyvq {__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("fly",), ("info", "a", "b"), ("info", "--fast", "a")])
def test_wrong_words_are_one_line_and_exit_code_2(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "--help" in err


def test_an_interrupt_is_quiet(run, monkeypatch):
    def interrupted(arguments, options):
        raise KeyboardInterrupt

    monkeypatch.setattr("loopyvq.cli.info.run", interrupted)
    assert run("info", "x") == (130, "", "loopyvq: interrupted\n")


@pytest.mark.parametrize(
    ("module", "extra"), [("lightning_fabric", "train"), ("skimage", "samples")]
)
def test_a_missing_extra_says_what_to_install(run, monkeypatch, module, extra):
    def missing(arguments, options):
        raise ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.deep")

    monkeypatch.setattr("loopyvq.cli.info.run", missing)
    code, _, err = run("info", "x")
    assert code == 2
    assert f"pip install 'loopyvq[{extra}]'" in err


def test_a_missing_extra_behind_a_library_error_says_so_too(run, monkeypatch):
    def missing(arguments, options):
        try:
            raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")
        except ModuleNotFoundError as error:
            raise ImportError("measuring needs torchmetrics") from error

    monkeypatch.setattr("loopyvq.cli.info.run", missing)
    code, _, err = run("info", "x")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "pip install 'loopyvq[eval]'" in err


def test_the_package_runs_as_a_module():
    script = [sys.executable, "-m", "loopyvq", "--version"]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    assert __version__ in done.stdout

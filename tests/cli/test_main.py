import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from loopyvq import __version__
from loopyvq.cli.main import COMMANDS, _build_parser, main

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize(("command", "is_often"), [("info", True), ("evaluate", False)])
def test_only_commands_that_start_often_put_off_the_garbage(monkeypatch, command, is_often):
    before = gc.get_threshold()
    try:
        assert main([command, "nowhere"] + ["--data", "nowhere"] * (not is_often)) == 2
        assert gc.get_threshold() == before  # called from Python, it leaves the process alone
        words = ["loopyvq", command, "nowhere"] + ["--data", "nowhere"] * (not is_often)
        monkeypatch.setattr("sys.argv", words)
        assert main() == 2
        assert (gc.get_threshold() != before) is is_often
    finally:
        gc.set_threshold(*before)


def test_values_of_a_config_are_no_arguments():
    words = ["train", "tokenizer", "--budget.kind", "depth", "--optim.x", "-1", "--data", "d"]
    arguments, rest = _build_parser(words).parse_known_args(words)
    assert (arguments.config, arguments.data) == (None, "d")
    assert rest == ["--budget.kind=depth", "--optim.x=-1"]
    words = ["evaluate rd", "--data", "d", "--model", "a=b", "--baselines", "jpeg", "webp"]
    assert _build_parser(words).parse_known_args(words)[0].baselines == ["jpeg", "webp"]


THREADS = ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS")
WAITING = """
import os, sys
from loopyvq.cli.main import main
assert not {"torch", "numpy"} & sys.modules.keys()
main()
print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.parametrize(
    ("command", "told", "expected"),
    [
        ("info", {}, "PASSIVE 1"),
        ("info", {"OMP_WAIT_POLICY": "ACTIVE", "OPENBLAS_NUM_THREADS": "2"}, "ACTIVE 2"),
        ("evaluate", {}, "None None"),
    ],
)
def test_threads_wait_without_spinning_where_files_are_written(tmp_path, command, told, expected):
    words = [command, str(tmp_path / "none")]
    if command == "evaluate":
        words += ["--data", str(tmp_path / "none")]
    kept = {key: value for key, value in os.environ.items() if key not in THREADS}
    script = [sys.executable, "-c", WAITING, *words]
    done = subprocess.run(script, check=True, capture_output=True, text=True, env=kept | told)
    assert "loopyvq: error" in done.stderr
    assert done.stdout.splitlines()[-1] == expected


def test_a_reader_that_leaves_is_no_success():
    program = "import sys; from loopyvq.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-u", "-c", program, "models"]
    assert "photo-f8" in subprocess.run(words, check=True, capture_output=True, text=True).stdout
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, check=False, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_the_file_system_refuses_is_one_line(run, tmp_path):
    code, out, err = run("info", tmp_path / ("long" * 100))
    assert (code, out) == (2, "")
    assert "File name too long" in err
    assert len(err.splitlines()) == 1


def test_names_that_are_no_text_are_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9.npy")
    numpy.save(tmp_path / name, numpy.ones((4, 2)))
    words = [sys.executable, "-m", "loopyvq", "compress", name, "--max-error", "0.1"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env=strict, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "caf\\udce9.npy.lvq" in done.stdout

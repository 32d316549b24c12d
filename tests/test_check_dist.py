import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / "tools" / "check_dist.py"
PACKAGE = {
    "loopyvq/__init__.py": 10,
    "loopyvq/py.typed": 0,
    "loopyvq/demo/page.html": 10,
    "loopyvq/demo/page.css": 10,
    "loopyvq/demo/page.js": 10,
    "loopyvq/pretrained/a.safetensors": 1000,
    "loopyvq/pretrained/a.md": 10,
}
DESCRIPTION = {"loopyvq-1.dist-info/METADATA": 10}


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check_dist", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wheel_of_the_package_and_no_more_is_right(check):
    assert check.wheel_faults(PACKAGE | DESCRIPTION, PACKAGE) == []


@pytest.mark.parametrize("name", sorted(set(PACKAGE) - {"loopyvq/__init__.py"}))
def test_a_wheel_needs_pages_models_cards_and_types(check, name):
    held = {other: size for other, size in PACKAGE.items() if other != name}
    assert check.wheel_faults(held, held) != []


@pytest.mark.parametrize(
    "name", ["tests/test_tokens.py", "loopyvq/a.nbi", "docs/images/rd.webp", "loopyvq/notes.txt"]
)
def test_a_wheel_holds_nothing_else(check, name):
    faults = check.wheel_faults(PACKAGE | {name: 10}, PACKAGE)
    assert any(name in fault for fault in faults)


def test_odd_files_are_wrong_even_where_they_lie_in_the_package(check):
    held = PACKAGE | {"loopyvq/notes.txt": 10}
    assert any("notes.txt" in fault for fault in check.wheel_faults(held, held))


def test_a_lacking_module_is_named(check):
    faults = check.wheel_faults(PACKAGE, {*PACKAGE, "loopyvq/tokens.py"})
    assert faults == ["the wheel lacks loopyvq/tokens.py"]


def test_models_and_the_rest_stay_modest(check):
    large = PACKAGE | {"loopyvq/pretrained/a.safetensors": 9_000_000}
    assert any("9,000,000" in fault for fault in check.wheel_faults(large, PACKAGE))
    large = PACKAGE | {"loopyvq/demo/page.js": 3_000_000}
    assert any("besides" in fault for fault in check.wheel_faults(large, PACKAGE))


def test_a_source_archive_holds_what_building_and_testing_need(check):
    needed = {"pyproject.toml", "tests/test_tokens.py"}
    assert check.source_faults({*needed, "PKG-INFO"}, needed) == []
    faults = check.source_faults({"pyproject.toml", "runs/x.csv"}, needed)
    assert [fault.split()[-1] for fault in faults] == ["tests/test_tokens.py", "runs/x.csv"]


def test_the_tree_leaves_out_what_programs_leave_behind(check, tmp_path):
    for name in ("a.py", "__pycache__/a.pyc", "__pycache__/a.nbi"):
        (tmp_path / "loopyvq" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "loopyvq" / name).touch()
    assert check.tree("loopyvq", tmp_path) == {"loopyvq/a.py"}


def test_the_command_says_what_is_wrong(tmp_path):
    words = [sys.executable, CHECK, tmp_path]
    empty = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (empty.returncode, "make dist" in empty.stderr) == (1, True)
    with zipfile.ZipFile(tmp_path / "loopyvq-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tests/test_tokens.py", "")
    tarfile.open(tmp_path / "loopyvq-1.tar.gz", "w:gz").close()
    wrong = subprocess.run(words, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert "error: the wheel lacks loopyvq/py.typed" in wrong.stderr
    assert "error: the source archive lacks pyproject.toml" in wrong.stderr

"""Check what the wheel and the source archive in a folder hold.

    python tools/check_dist.py [dist]

The wheel must hold the package as it lies in this checkout, file for file, and nothing else; the
source archive everything that building and testing need. Says what is wrong and exits with 1.
"""

import argparse
import sys
import tarfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a wheel may hold: code, pages, models with their cards, the mark of typed packages.
SUFFIXES = (".py", ".html", ".css", ".js", ".svg", ".safetensors", ".md", ".typed")
NEEDED_SUFFIXES = (".html", ".css", ".js", ".safetensors", ".md")
SOURCE_FOLDERS = ("loopyvq", "tests", "configs", "docs", "examples", "benchmarks", "tools", ".ci")
SOURCE_FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
)
MADE = ("__pycache__", "_build")
MADE_SUFFIXES = (".pyc", ".nbi", ".nbc")
MOST_BYTES_OF_MODEL = 8_000_000
MOST_BYTES_BESIDES = 2_000_000
MOST_BYTES_OF_SOURCES = 40_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    folder = parser.parse_args().folder
    wheel, sources = only(folder, "*.whl"), only(folder, "*.tar.gz")
    held, packed = wheel_sizes(wheel), source_names(sources)
    faults = wheel_faults(held, tree("loopyvq"))
    faults += source_faults(packed, {*SOURCE_FILES, *(f for d in SOURCE_FOLDERS for f in tree(d))})
    if sources.stat().st_size > MOST_BYTES_OF_SOURCES:
        faults.append(f"{sources.name} has {sources.stat().st_size:,} bytes")
    for path, names in ((wheel, held), (sources, packed)):
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(names)} files")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    sys.exit(bool(faults))


def only(folder: Path, pattern: str) -> Path:
    """Find the one file that a pattern names."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise SystemExit(f"{folder} must hold one {pattern}, it holds {names}: run make dist")
    return found[0]


def tree(folder: str, root: Path = ROOT) -> set[str]:
    """List the files below a folder of the checkout, without what programs leave behind."""
    found = (path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in found
        if not set(path.parts) & set(MADE) and path.suffix not in MADE_SUFFIXES
    }


def wheel_sizes(wheel: Path) -> dict[str, int]:
    """Give the files of a wheel with their sizes in bytes."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.file_size for info in archive.infolist()}


def source_names(archive: Path) -> set[str]:
    """Give the files of a source archive, without the folder that holds them all."""
    with tarfile.open(archive) as opened:
        return {member.name.partition("/")[2] for member in opened if member.isfile()}


def wheel_faults(held: Mapping[str, int], package: Collection[str]) -> list[str]:
    """Say what is wrong with a wheel.

    Args:
        held: its files and their sizes.
        package: the files that it should hold, besides what describes it.

    Returns:
        One line per fault.
    """
    own = {name: size for name, size in held.items() if ".dist-info/" not in name}
    faults = [f"the wheel lacks {name}" for name in sorted(set(package) - set(own))]
    faults += [f"the wheel should not hold {name}" for name in sorted(set(own) - set(package))]
    odd = sorted(name for name in own if not name.endswith(SUFFIXES))
    faults += [f"the wheel holds {name}, which is of an unknown kind" for name in odd]
    faults += [
        f"the wheel holds no *{suffix}"
        for suffix in NEEDED_SUFFIXES
        if not any(name.endswith(suffix) for name in own)
    ]
    if "loopyvq/py.typed" not in own:
        faults.append("the wheel lacks the mark of typed packages, loopyvq/py.typed")
    models = {name: size for name, size in own.items() if name.endswith(".safetensors")}
    faults += [
        f"{name} has {size:,} bytes, more than {MOST_BYTES_OF_MODEL:,}"
        for name, size in models.items()
        if size > MOST_BYTES_OF_MODEL
    ]
    faults += [
        f"the wheel holds {name} without its card"
        for name in models
        if name.replace(".safetensors", ".md") not in own
    ]
    besides = sum(own.values()) - sum(models.values())
    if besides > MOST_BYTES_BESIDES:
        faults.append(f"the wheel holds {besides:,} bytes besides its models")
    return faults


def source_faults(packed: Collection[str], needed: Collection[str]) -> list[str]:
    """Say what is wrong with a source archive.

    Args:
        packed: its files.
        needed: those that building and testing need.

    Returns:
        One line per fault.
    """
    added_by_the_builder = {"PKG-INFO", ".gitignore"}
    faults = [f"the source archive lacks {name}" for name in sorted(set(needed) - set(packed))]
    more = sorted(set(packed) - set(needed) - added_by_the_builder)
    return faults + [f"the source archive should not hold {name}" for name in more]


if __name__ == "__main__":
    main()

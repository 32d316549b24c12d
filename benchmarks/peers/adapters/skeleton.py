"""Import a module of a package without running the package's own ``__init__``.

Several peers are a quantizer inside of an audio application whose ``__init__`` imports players,
downloaders and torchaudio. The quantizer itself needs none of them.
"""

import importlib
import importlib.util
import sys
import types


def import_alone(module: str, *packages: str) -> types.ModuleType:
    """Import ``module``; of ``packages`` only the folders are made known."""
    for package in packages:
        if package not in sys.modules:
            found = importlib.util.find_spec(package)
            if found is None or found.submodule_search_locations is None:
                raise ModuleNotFoundError(f"{package} is not installed", name=package)
            hollow = types.ModuleType(package)
            hollow.__path__ = list(found.submodule_search_locations)
            hollow.__spec__ = found
            sys.modules[package] = hollow
    return importlib.import_module(module)

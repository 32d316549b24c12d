"""Run lines on one library and print a JSON line for each: ``worker.py LIBRARY LINE ...``."""

import json
import os
import sys
import warnings

os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
warnings.simplefilter("ignore")

import torch  # noqa: E402
from adapters import adapter_of  # noqa: E402
from checks import LINES  # noqa: E402


def main() -> None:
    library, *names = sys.argv[1:]
    torch.set_num_threads(1)
    adapter = adapter_of(library)
    print(json.dumps({"label": adapter.label, "version": adapter.version()}), flush=True)
    for name in names:
        result = LINES[name].run(adapter)
        print(json.dumps({"line": name, **result._asdict()}), flush=True)


if __name__ == "__main__":
    main()

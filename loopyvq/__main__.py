"""Run the command line as ``python -m loopyvq``."""

import sys

from loopyvq.cli.main import main

sys.exit(main())

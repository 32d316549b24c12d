"""Commands of ours, in this process."""

from loopyvq.cli.main import main as loopyvq

__all__ = ["run"]


def run(*words: object) -> None:
    """Run `loopyvq` with these words, and end with it where it fails."""
    if code := loopyvq([str(word) for word in words]):
        raise SystemExit(code)

"""The frame of every page: one HTML file, complete in itself.

``page.html`` is the frame, ``page.css`` the looks and ``page.js`` the choice of a threshold; what
stands in the frame is a file of each page's own.
"""

from importlib import resources
from pathlib import Path
from string import Template
from typing import NamedTuple

from loopyvq.tensor_file import write_atomically

__all__ = ["Frame", "fill", "opening", "read_part", "write_page"]


class Frame(NamedTuple):
    """What the frame says; everything is markup.

    Attributes:
        title: of the window, behind the program's name.
        pictures: what the first section shows, in a word that is also its ``id``.
        opening: the introduction, see `opening`.
        facts: numbers below it, see `loopyvq.demo.parts.facts`.
        footer: what made the page.
        style: CSS of this page alone.
        chooses: whether a threshold can be chosen.
    """

    title: str
    pictures: str
    opening: str
    facts: str
    footer: str
    style: str = ""
    chooses: bool = True


def write_page(path: Path, frame: Frame, body: str) -> None:
    """Write a page.

    Args:
        path: the HTML file; it is replaced whole or not at all.
        frame: what stands around the body.
        body: markup.

    Raises:
        CheckpointError: the file cannot be written.
    """
    script = f"<script>\n{read_part('page.js')}\n</script>" if frame.chooses else ""
    text = fill(
        "page.html",
        title=frame.title,
        style=read_part("page.css") + frame.style,
        pictures=frame.pictures,
        opening=frame.opening,
        facts=frame.facts,
        body=body,
        footer=frame.footer,
        script=script,
    )
    write_atomically(path, text.encode())


def opening(heading: str, lead: str, note: str, *, draws_loop: bool = True) -> str:
    """Introduce a page.

    Args:
        heading: of the page.
        lead: what it is about, as markup.
        note: what to keep in mind, as markup.
        draws_loop: whether the drawing of the loop stands beside it.

    Returns:
        Markup.
    """
    words = f'<h1>{heading}</h1><p class="lead">{lead}</p><p class="note">{note}</p>'
    if not draws_loop:
        return words
    return f'<div class="opening"><div>{words}</div>{read_part("loop.svg")}</div>'


def fill(name: str, **parts: object) -> str:
    """Fill a template of this package.

    Args:
        name: of the file.
        parts: what stands for each of its names.

    Returns:
        The text.
    """
    return Template(read_part(name)).substitute(parts)


def read_part(name: str) -> str:
    """Read a text file of this package.

    Args:
        name: of the file.

    Returns:
        The text.
    """
    return resources.files("loopyvq.demo").joinpath(name).read_text("utf-8")

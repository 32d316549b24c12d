"""Parts that pages share: facts, the choice of a threshold, tables, commands."""

from collections.abc import Sequence
from html import escape

from loopyvq.demo.markup import mark, middle
from loopyvq.models import AnyTokenizerConfig

__all__ = ["chooser", "commands", "facts", "loop_in_words", "millions", "table"]


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Show a few numbers.

    Args:
        pairs: what each number is, and the number, as markup.

    Returns:
        The inside of a ``dl``.
    """
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs)


def chooser(labels: Sequence[tuple[str, str]]) -> str:
    """Let the reader choose a threshold for the whole page.

    Args:
        labels: each threshold and what it costs, as markup, coarse to fine.

    Returns:
        A ``fieldset``.
    """
    choices = "".join(
        f'<label><input type="radio" name="point" value="{index}"'
        f"{' checked' if index == middle(len(labels)) else ''}>"
        f"<b>{threshold}</b><small>{cost}</small></label>"
        for index, (threshold, cost) in enumerate(labels)
    )
    return (
        "<fieldset><legend>Threshold<small>coarse to fine, for the whole page</small></legend>"
        f'<div class="segments">{choices}</div></fieldset>'
    )


def table(label: str, heads: Sequence[str], rows: Sequence[Sequence[str]], marked: bool) -> str:
    """Lay out numbers.

    Args:
        label: what a screen reader says.
        heads: of the columns, as markup.
        rows: cells, as markup; the first of each names the row.
        marked: whether there is one row per threshold, of which the chosen one is highlighted.

    Returns:
        A ``table`` that scrolls where it is too wide.
    """
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr{mark(index, len(rows)) if marked else ""}><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for index, (first, *cells) in enumerate(rows)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def commands(entries: Sequence[Sequence[str]], where: str) -> str:
    """List commands to go on with.

    Args:
        entries: what is done, and the lines to type, as plain text.
        where: a last remark.

    Returns:
        Markup.
    """
    blocks = "".join(
        f"<p>{what}</p><pre tabindex=0><code>{escape(chr(10).join(lines))}</code></pre>"
        for what, *lines in entries
    )
    return f'{blocks}<p class="small">{where}</p>'


def loop_in_words(config: AnyTokenizerConfig) -> str:
    """Tell what a tokenizer does with a photograph.

    Args:
        config: its sizes.

    Returns:
        A few sentences.
    """
    side, loop = config.downsampling, config.quantizer
    return (
        f"A small network reads a photograph in sites of {side} &times; {side} pixels and "
        "describes each of them with tokens: numbers of entries in a list of "
        f"{loop.codebook_size:,} learned codes. For every site it goes round a loop. It takes the "
        "code nearest to what is still unexplained, subtracts it, and stops once the rest is "
        f"smaller than a threshold, or after {loop.max_depth} turns."
    )


def millions(count: int) -> str:
    """Write how many parameters there are.

    Args:
        count: of them.

    Returns:
        The number, in millions from one million on.

    Example:
        >>> millions(1_234_567), millions(548_000)
        ('1.2 M', '548,000')
    """
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"

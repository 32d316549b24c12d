"""Four ways to write the same `Tokens` as one sequence of non-negative symbols, and back, exactly.

With D for `CONTINUE`, the sites ``D D 7`` and ``4 9`` and an empty site read

    flat          D D 7 STOP | 4 9 STOP | STOP          a STOP ends every site
    dummy         D D 7      | 4+ 9     | STOP          a code knows whether it is the last
    run_length    2 7        | 0 4+ 0 9 | 0 STOP        runs of D are counted: ``D D A -> 2 A``
    depth_major   D 4 STOP | D 9 | 7 STOP               turn by turn, over the sites still going

A vocabulary has, in this order: the codes; D; STOP; the codes again, meaning "and more follow";
the counts. ``depth_major`` leaves out the STOP of a site that has reached ``max_depth``.
"""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Int
from torch import Tensor

from loopyvq.tokens import CONTINUE, PAD, Tokens

__all__ = ["SPELLINGS", "spell", "symbols_to_text", "unspell", "vocabulary_size"]


SPELLINGS = ("flat", "dummy", "run_length", "depth_major")


def vocabulary_size(spelling: str, codebook_size: int, max_depth: int) -> int:
    """Count the symbols that a spelling may use.

    Args:
        spelling: one of `SPELLINGS`.
        codebook_size: number of codes, at least 1.
        max_depth: largest length of a site.

    Returns:
        One more than the largest symbol.

    Raises:
        ValueError: the spelling is unknown.
    """
    _require_spelling(spelling)
    codes_and_marks = codebook_size + 2
    if spelling in ("flat", "depth_major"):
        return codes_and_marks
    if spelling == "dummy":
        return codes_and_marks + codebook_size
    return codes_and_marks + codebook_size + max_depth + 1


def spell(tokens: Tokens, spelling: str, codebook_size: int) -> Int[Tensor, " t"]:
    """Write tokens as one sequence of symbols.

    Args:
        tokens: any tokens that `Tokens.validate` accepts; sites are read in row-major order.
        spelling: one of `SPELLINGS`.
        codebook_size: number of codes.

    Returns:
        The sequence, each symbol in ``0..vocabulary_size-1``.

    Raises:
        ValueError: the tokens are not valid or the spelling is unknown.

    Example:
        >>> tokens = Tokens(torch.tensor([[CONTINUE, CONTINUE, 0]]), torch.tensor([3]))
        >>> symbols_to_text(spell(tokens, "run_length", 26), 26, labels="ABC")
        '2 A'
    """
    _require_spelling(spelling)
    tokens.validate(codebook_size)
    depth = tokens.max_depth
    lengths = tokens.lengths.reshape(-1).long()
    codes = tokens.codes.reshape(len(lengths), depth).long()
    marked = torch.where(codes == CONTINUE, codebook_size, codes)
    if spelling == "depth_major":
        return _spell_depth_major(marked, lengths, codebook_size)
    if spelling == "flat":
        return _append_stop(marked, lengths, lengths >= 0, codebook_size)
    symbols = _mark_last_codes(marked, lengths, codebook_size)
    return symbols if spelling == "dummy" else _count_runs(symbols, codebook_size)


def unspell(
    symbols: Int[Tensor, " t"],
    spelling: str,
    codebook_size: int,
    sites: Sequence[int],
    max_depth: int,
) -> Tokens:
    """Read tokens back from a sequence that `spell` wrote.

    Args:
        symbols: the sequence.
        spelling: the spelling it was written in.
        codebook_size: number of codes.
        sites: shape of the sites, such as ``(h, w)``.
        max_depth: largest length of a site.

    Returns:
        Tokens with codes of shape ``(*sites, max_depth)``.

    Raises:
        ValueError: no tokens of these sites and this depth are spelled like this.
    """
    size = vocabulary_size(spelling, codebook_size, max_depth)
    if symbols.numel() and (symbols.min() < 0 or symbols.max() >= size):
        raise ValueError(f"symbols of this spelling must be within 0..{size - 1}")
    num_sites = prod(sites)
    if spelling == "depth_major":
        codes, lengths = _read_depth_major(symbols, codebook_size, num_sites, max_depth)
    else:
        if spelling == "run_length":
            symbols = _expand_runs(symbols, codebook_size)
        ends = symbols == codebook_size + 1
        if spelling != "flat":
            more = symbols > codebook_size + 1
            if bool((more[:-1] & ends[1:]).any()):
                raise ValueError("a code with more to follow must not stand before a STOP")
            ends = ends | (symbols < codebook_size)
        codes, lengths = _read_sites(symbols, ends, codebook_size, num_sites, max_depth)
    return Tokens(codes.reshape(*sites, max_depth), lengths.reshape(tuple(sites)))


def symbols_to_text(
    symbols: Int[Tensor, " t"], codebook_size: int, labels: Sequence[str] | None = None
) -> str:
    """Show a sequence to a person: codes as numbers, D, STOP, ``k+`` and bare counts.

    Args:
        symbols: a sequence in any spelling.
        codebook_size: number of codes.
        labels: names for the first codes, such as letters, in place of their numbers.

    Returns:
        The symbols, separated by spaces.
    """

    def name(symbol: int) -> str:
        more, code = divmod(symbol, codebook_size + 2)
        if symbol >= 2 * codebook_size + 2:
            return str(symbol - 2 * codebook_size - 2)
        if code == codebook_size:
            return "D"
        if code == codebook_size + 1:
            return "STOP"
        label = labels[code] if labels is not None and code < len(labels) else str(code)
        return label + "+" * more

    return " ".join(name(symbol) for symbol in symbols.tolist())


def _require_spelling(spelling: str) -> None:
    if spelling not in SPELLINGS:
        raise ValueError(f"spelling must be one of {', '.join(SPELLINGS)}, got {spelling!r}")


def _append_stop(
    marked: Int[Tensor, "n l"],
    lengths: Int[Tensor, " n"],
    stops: Tensor,
    codebook_size: int,
) -> Int[Tensor, " t"]:
    """Write each site's tokens, then STOP where ``stops`` says so."""
    rows, depth = marked.shape
    turn = torch.arange(depth + 1, device=marked.device)
    padded = torch.cat([marked, marked.new_full((rows, 1), PAD)], dim=1)
    at_end = turn == lengths.unsqueeze(1)
    padded = torch.where(at_end, codebook_size + 1, padded)
    return padded[(turn < lengths.unsqueeze(1)) | (at_end & stops.unsqueeze(1))]


def _mark_last_codes(
    marked: Int[Tensor, "n l"], lengths: Int[Tensor, " n"], codebook_size: int
) -> Int[Tensor, " t"]:
    """Spell ``dummy``: shift every code that is not its site's last token into the second set."""
    turn = torch.arange(marked.shape[1], device=marked.device)
    last = turn == lengths.unsqueeze(1) - 1
    is_code = (marked >= 0) & (marked < codebook_size)
    ends_with_code = (is_code & last).any(dim=1)
    shifted = torch.where(is_code & ~last, marked + codebook_size + 2, marked)
    return _append_stop(shifted, lengths, ~ends_with_code, codebook_size)


def _count_runs(symbols: Int[Tensor, " t"], codebook_size: int) -> Int[Tensor, " u"]:
    """Put before every symbol but D the number of Ds since the one before, and drop the Ds."""
    position = (symbols != codebook_size).nonzero().squeeze(1)
    before = torch.cat([position.new_full((1,), -1), position[:-1]]) if len(position) else position
    counts = position - before - 1 + 2 * codebook_size + 2
    return torch.stack([counts, symbols[position]], dim=1).reshape(-1)


def _expand_runs(symbols: Int[Tensor, " u"], codebook_size: int) -> Int[Tensor, " t"]:
    """Invert `_count_runs`."""
    if len(symbols) % 2:
        raise ValueError("a run-length sequence must hold pairs of a count and a symbol")
    first_count = 2 * codebook_size + 2
    counts, marks = symbols.reshape(-1, 2).unbind(1)
    if bool((counts < first_count).any() | (marks >= first_count).any()):
        raise ValueError("a run-length sequence must alternate counts and symbols")
    if bool((marks == codebook_size).any()):
        raise ValueError("a run-length sequence must not hold a bare D")
    runs = counts - first_count
    expanded = symbols.new_full((int(runs.sum()) + len(marks),), codebook_size)
    expanded[(runs + 1).cumsum(0) - 1] = marks
    return expanded


def _read_sites(
    symbols: Int[Tensor, " t"],
    ends: Tensor,
    codebook_size: int,
    num_sites: int,
    max_depth: int,
) -> tuple[Int[Tensor, "n l"], Int[Tensor, " n"]]:
    """Cut a sequence behind every symbol that ends a site."""
    if int(ends.sum()) != num_sites or (len(symbols) and not bool(ends[-1])):
        raise ValueError(f"the sequence must hold exactly {num_sites} complete sites")
    site = ends.cumsum(0) - ends.to(torch.int64)
    first = torch.cat([site.new_zeros(1), ends.nonzero().squeeze(1)[:-1] + 1])
    turn = torch.arange(len(symbols), device=symbols.device) - first[site]
    is_token = symbols != codebook_size + 1
    if bool((is_token & (turn >= max_depth)).any()):
        raise ValueError(f"a site of the sequence has more than {max_depth} tokens")
    codes = symbols.new_full((num_sites, max_depth), PAD)
    codes[site[is_token], turn[is_token]] = _to_tokens(symbols[is_token], codebook_size)
    lengths = symbols.new_zeros(num_sites).index_add(0, site, is_token.to(symbols.dtype))
    return codes, lengths


def _spell_depth_major(
    marked: Int[Tensor, "n l"], lengths: Int[Tensor, " n"], codebook_size: int
) -> Int[Tensor, " t"]:
    stop = codebook_size + 1
    turns = []
    for turn in range(marked.shape[1]):
        active = lengths >= turn
        turns.append(torch.where(lengths == turn, stop, marked[:, turn])[active])
    return torch.cat(turns) if turns else marked.new_zeros(0)


def _read_depth_major(
    symbols: Int[Tensor, " t"], codebook_size: int, num_sites: int, max_depth: int
) -> tuple[Int[Tensor, "n l"], Int[Tensor, " n"]]:
    codes = symbols.new_full((num_sites, max_depth), PAD)
    lengths = symbols.new_zeros(num_sites)
    active = torch.arange(num_sites, device=symbols.device)
    start = 0
    for turn in range(max_depth):
        row = symbols[start : start + len(active)]
        if len(row) != len(active):
            raise ValueError(f"the sequence ends within turn {turn}")
        start += len(active)
        going = row != codebook_size + 1
        active = active[going]
        codes[active, turn] = _to_tokens(row[going], codebook_size)
        lengths[active] = turn + 1
    if start != len(symbols):
        raise ValueError(f"{len(symbols) - start} symbols follow the last turn")
    return codes, lengths


def _to_tokens(symbols: Int[Tensor, " t"], codebook_size: int) -> Int[Tensor, " t"]:
    codes = torch.where(symbols > codebook_size, symbols - codebook_size - 2, symbols)
    return torch.where(symbols == codebook_size, CONTINUE, codes)

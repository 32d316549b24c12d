"""Lines R1 to R5."""

import torch
from data import DEPTH, SIZE, WIDTH, latents
from lines import Result, line, percent

from checks.building import started


@line("R1", "decoding codes gives z_q", "forward")
def r1(adapter):
    """In evaluation to the last bit; training is measured with the codebook of that pass."""
    z = latents(seed=1)
    quantizer = started(adapter)
    before = quantizer.twin().eval()
    result = quantizer(z.clone().requires_grad_())
    with torch.no_grad():
        training = float((before.decode(result.codes) - result.z_q).abs().max())
        quantizer.eval()
        off = float((quantizer.decode(quantizer.encode(z)) - quantizer(z).z_q).abs().max())
    text = "exact" if off == 0 else f"off by {off:.0e}"
    return Result(off == 0, text, f"in training off by {training:.0e}")


@line("R2", "prefixes decode, error never rises", "forward", "deep")
def r2(adapter):
    """Only a turn that may refuse can keep the error from rising, so others need not."""
    quantizer = started(adapter, prefixes=True).eval()
    z = latents(seed=1)
    with torch.no_grad():
        codes = quantizer.encode(z)
        try:
            decoded = [quantizer.decode(codes[:, :turns]) for turns in range(1, DEPTH + 1)]
        except Exception as error:
            return Result(False, f"refused: {type(error).__name__}", str(error)[:300])
    errors = torch.stack([z, *(z - part for part in decoded)]).double().norm(dim=2)
    rising = (errors.diff(dim=0) > 1e-6).any(dim=0).double().mean()
    text = "decode" if rising == 0 else f"decode, {percent(rising)} of rows rise"
    return Result(bool(rising == 0) or "stop" not in adapter.features, text)


@line("R3", "PAD is zero; range checked")
def r3(adapter):
    """Any exception counts as a check; PAD only where the library emits it."""
    quantizer = started(adapter) if "forward" in adapter.features else _filled(adapter)
    quantizer.eval()
    wrong, said = [], set()
    if "pad" in adapter.features:
        decoded = quantizer.decode(torch.full((3, quantizer.depth), -1))
        if not torch.equal(decoded, torch.zeros(3, WIDTH)):
            wrong.append("-1 is a code")
    for code in (SIZE, 10**9) if "pad" in adapter.features else (-1, SIZE, 10**9):
        codes = torch.zeros(2, quantizer.depth, dtype=torch.int64)
        codes[1, 0] = code
        try:
            quantizer.decode(codes)
        except Exception as error:
            said.add(type(error).__name__)
        else:
            wrong.append(f"{code} decodes")
    return Result(not wrong, "; ".join(wrong) if wrong else ", ".join(sorted(said)))


def _filled(adapter):
    quantizer = adapter(SIZE, WIDTH, DEPTH)
    quantizer.set_codebooks(torch.stack([latents(SIZE, seed=2) * 0.5**t for t in range(DEPTH)]))
    return quantizer


@line("R4", "every spelling inverts exactly", "spelling")
def r4(adapter):
    from loopyvq.spelling import SPELLINGS, spell, unspell

    inner = started(adapter).eval().inner
    z = latents(24, seed=1).reshape(4, 6, WIDTH)
    cases = [inner.encode(z, threshold=limit) for limit in (0.3, 0.01, 0.0)]
    cases += [inner.encode(z[:0]), inner.encode(z, depth=0)]
    wrong = []
    for spelling in SPELLINGS:
        for tokens in cases:
            symbols = spell(tokens, spelling, SIZE)
            back = unspell(symbols, spelling, SIZE, tokens.lengths.shape, tokens.max_depth)
            same = torch.equal(back.codes, tokens.codes)
            wrong += [] if same and torch.equal(back.lengths, tokens.lengths) else [spelling]
    return Result(not wrong, f"{len(SPELLINGS)} spellings" if not wrong else wrong[0])


@line("R5", "pull formula equals its loop", "pull")
def r5(adapter):
    from loopyvq.quantize import QUANTIZERS

    different = 0
    for step_size in (0.1, 0.5, 0.9, 1.0):
        pull = QUANTIZERS["pull"](
            codebook_size=SIZE,
            codebook_dim=WIDTH,
            max_depth=9,
            scale="absolute",
            step_size=step_size,
        ).eval()
        codes = latents(SIZE, seed=2)
        pull.codebook.set(codes)
        z = latents(5000, seed=int(10 * step_size))
        found = pull.encode(z, threshold=0.25).codes
        different += int((found != _literal(z, codes, 0.25, step_size, 9)).any(dim=1).sum())
    return Result(different == 0, f"{different} of 20,000 differ")


def _literal(z, codes, threshold, step_size, depth):
    position, exact = z.double(), codes.double()
    tokens = torch.full((len(z), depth), -1)
    going = torch.ones(len(z), dtype=torch.bool)
    for turn in range(depth):
        distance, nearest = torch.cdist(
            position, exact, compute_mode="donot_use_mm_for_euclid_dist"
        ).min(dim=1)
        close = (distance <= threshold) | (turn == depth - 1)
        tokens[going, turn] = torch.where(close, nearest, -2)[going]
        going = going & ~close
        position = position + step_size * (exact[nearest] - position)
    return tokens

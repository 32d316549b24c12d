"""Lines N1 to N9."""

import torch
from data import DEPTH, SIZE, WIDTH, greedy, halving, latents, near_ties
from lines import Result, line, percent
from torch import Tensor

from checks.building import build, known, started


@line("N1", "same codes however run")
def n1(adapter):
    """Encode near-ties in batches of 1, 7, 64 and all, on 1 and 2 threads, strided as well."""
    size, width, rows, checked = 256, 32, 4096, 1024
    quantizer = build(adapter, 1, size=size, width=width, fixed_depth=True)
    codes = torch.randn(size, width, generator=torch.Generator().manual_seed(1))
    codes = torch.nn.functional.normalize(codes, dim=1)  # so that midpoints tie by angle as well
    quantizer.set_codebooks(codes[None])
    quantizer.eval()
    z = near_ties(quantizer.codebooks()[0], rows)
    wide = torch.stack([z, z], dim=2).reshape(len(z), 2 * width)[:, ::2]
    flips = torch.zeros(checked, dtype=torch.bool)
    threads = torch.get_num_threads()
    with torch.no_grad():
        expected = quantizer.encode(z)[:checked, 0]
        try:
            for count in (1, 2):
                torch.set_num_threads(count)
                flips |= quantizer.encode(z)[:checked, 0] != expected
                for batch in (1, 7, 64):
                    found = [quantizer.encode(part)[:, 0] for part in z[:checked].split(batch)]
                    flips |= torch.cat(found) != expected
        finally:
            torch.set_num_threads(threads)
        flips |= quantizer.encode(wide)[:checked, 0] != expected
    return Result(not flips.any(), f"{percent(flips.double().mean())} of ties flip")


@line("N2", "exact ties take lowest index")
def n2(adapter):
    quantizer = build(adapter, 1, size=6, fixed_depth=True)
    axes = torch.eye(WIDTH)
    rows = [-axes[1], axes[1], axes[0], axes[1], axes[0], -axes[0]]
    quantizer.set_codebooks(torch.stack(rows)[None])
    quantizer.eval()
    sites = [axes[0] + axes[1], axes[0], -axes[0] - axes[1], axes[0] - axes[1]]
    with torch.no_grad():
        found = quantizer.encode(torch.stack(sites).repeat(16, 1))[:, 0]
    share = (found != torch.tensor([1, 2, 0, 0]).repeat(16)).double().mean()
    return Result(bool(share == 0), f"{percent(share)} wrong")


@line("N3", "codes equal exact greedy search")
def n3(adapter):
    """Half of the codes lie among the offset data, half are of the size of what is left."""
    shares, width = {}, 32
    for offset in (0.0, 1e3, 1e4):
        for scale in (1e-4, 1.0, 1e4):
            z = (latents(4096, width=width) + offset) * scale
            near = (latents(32, seed=6, width=width) + offset) * scale
            left = latents(32, seed=5, width=width) * scale
            quantizer = build(adapter, size=64, width=width, fixed_depth=True)
            quantizer.set_codebooks(halving(torch.cat([near, left]), quantizer.depth))
            with torch.no_grad():
                found = quantizer.eval().encode(z)
            books = quantizer.codebooks()
            wrong = [
                (found != greedy(z, books, adapter.metric, kind)).any(dim=1)
                for kind in (torch.float32, torch.float64)
            ]
            shares[offset, scale] = float((wrong[0] & wrong[1]).double().mean())
    least, most = min(shares.values()), max(shares.values())
    text = percent(most) if least == most else f"{percent(least)} to {percent(most)}"
    return Result(most == 0, f"{text} wrong", _by_offset(shares))


def _by_offset(shares: dict[tuple[float, float], float]) -> str:
    """Spell the shares over all scales, offset by offset."""
    parts = []
    for offset in dict.fromkeys(offset for offset, _ in shares):
        found = [share for (where, _), share in shares.items() if where == offset]
        parts.append(f"offset {offset:g}: {percent(min(found))} to {percent(max(found))}")
    return ", ".join(parts) if any(shares.values()) else ""


@line("N4", "float64 is searched in float64", "double")
def n4(adapter):
    """Two codes, told apart by 1e-12; a module that wants it is cast to float64 first."""
    axes = torch.eye(WIDTH)[:2]
    middle = (axes[0] + axes[1]).double() / 2
    z = torch.stack([middle, middle])
    z[0, 0] += 1e-12
    z[1, 1] += 1e-12
    note = ""
    for cast in (False, True):
        quantizer = build(adapter, 1, size=2, fixed_depth=True)
        quantizer.set_codebooks(axes[None])
        quantizer = quantizer.double().eval() if cast else quantizer.eval()
        try:
            with torch.no_grad():
                found = quantizer.encode(z)[:, 0].tolist()
        except (RuntimeError, TypeError) as error:
            note = f"as built: {type(error).__name__}"
            continue
        if found == [0, 1]:
            return Result(True, "after .double()" if cast else "told apart", note)
    return Result(False, "searched in float32", note)


@line("N5", "reported residual norm is true", "forward", "norm")
def n5(adapter):
    quantizer = started(adapter).eval()
    worst = 0.0
    for offset in (0.0, 1e3):
        z = latents(seed=1) + offset
        with torch.no_grad():
            result = quantizer(z)
        true = (z.double() - quantizer.decode(result.codes).double()).norm(dim=1)
        true = true / quantizer.inner.sigma.double()
        worst = max(
            worst, float(((result.norm.double() - true) / true.clamp(min=1e-9)).abs().max())
        )
    return Result(worst <= 1e-5, f"off by {worst:.0e}")


@line("N6", "finished rows change no code", "stop")
def n6(adapter):
    inner = started(adapter).eval().inner
    z = latents(60, seed=1)
    tokens = inner.encode(z, threshold=0.4)
    alone = torch.stack([inner.encode(row, threshold=0.4).codes for row in z])
    share = (alone != tokens.codes).any(dim=1).double().mean()
    return Result(bool(share == 0 and len(tokens.lengths.unique()) > 1), f"{percent(share)} differ")


@line("N7", "threshold stops where documented", "stop")
def n7(adapter):
    inner = started(adapter).eval().inner
    z = latents(seed=1)
    thresholds = [0.0, 0.05, 0.2, 0.5, 1.0, torch.inf]
    lengths = torch.stack([inner.encode(z, threshold=limit).lengths for limit in thresholds])
    monotone = bool((lengths.diff(dim=0) <= 0).all() and (lengths[-1] == 0).all())
    code = inner(inner.codebook.weight * inner.sigma, threshold=0.0)
    exact = known(adapter, fixed_depth=False).eval()
    unit = exact.inner
    unit.codebook.set(torch.eye(SIZE)[:, :WIDTH])
    site = torch.zeros(1, WIDTH)
    site[0, 0] = 1.5
    at_limit = unit(site, threshold=0.5).lengths.tolist() == [1]
    rows = torch.rand(len(z), generator=torch.Generator().manual_seed(0))
    mixed = inner.encode(z, threshold=rows)
    alone = [
        inner.encode(row, threshold=float(limit)).codes for row, limit in zip(z, rows, strict=True)
    ]
    wrong = [
        name
        for name, held in (
            ("monotone", monotone),
            ("code stops at once", bool((code.lengths == 1).all())),
            ("<=", at_limit),
            ("per site", torch.equal(mixed.codes, torch.stack(alone))),
        )
        if not held
    ]
    return Result(not wrong, "holds" if not wrong else ", ".join(wrong))


@line("N8", "useless turns emit a dummy", "stop")
def n8(adapter):
    quantizer = known(adapter).eval()
    z = latents(seed=1)
    errors = []
    dummies = 0
    for turns in range(DEPTH + 1):
        with torch.no_grad():
            found = quantizer(z, turns=turns)
        errors.append((z - found.z_q).double().norm(dim=1))
        dummies = int((found.codes == -2).sum())
    rising = (torch.stack(errors).diff(dim=0) > 1e-6).double().mean()
    return Result(bool(rising == 0) and dummies > 0, f"{percent(rising)} of turns rise")


@line("N9", "half precision: codes of float32", "double")
def n9(adapter):
    wrong = []
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        half = latents(seed=1).to(dtype)
        quantizer = known(adapter).eval()
        wrong += _against(quantizer, half, quantizer.encode(half.float()), name)
    z = latents(seed=1)
    quantizer = known(adapter).eval()
    expected = quantizer.encode(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wrong += _against(quantizer, z, expected, "autocast")
    if "averages" in adapter.features:
        cast = started(adapter).to(torch.bfloat16)
        state = [value for key, value in cast.state_dict().items() if value.is_floating_point()]
        if any(value.dtype == torch.bfloat16 for value in state):
            wrong.append("averages become bfloat16")
    return Result(not wrong, "same" if not wrong else "; ".join(wrong))


def _against(quantizer, z: Tensor, expected: Tensor, name: str) -> list[str]:
    try:
        with torch.no_grad():
            share = (quantizer.encode(z) != expected).any(dim=1).double().mean()
    except Exception as error:
        return [f"{name}: {type(error).__name__}"]
    return [f"{name}: {percent(share)} differ"] if share else []

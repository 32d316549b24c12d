"""Lines S1 to S12."""

import copy
import math

import torch
from data import DEPTH, ROWS, SIZE, WIDTH, latents, squared_error
from lines import Result, line, percent
from torch.utils.checkpoint import checkpoint

from checks.building import build, changed, known, learn, started, state_of


@line("S1", "averages or optimizer, never both", "forward")
def s1(adapter):
    wrong = []
    for learning in ("averages", "gradient"):
        if learning not in adapter.features:
            continue
        quantizer = known(adapter, learning=learning)
        before = quantizer.codebooks()
        result = quantizer(latents(seed=1).requires_grad_())
        by_pass = not torch.equal(quantizer.codebooks(), before)
        before = quantizer.codebooks()
        parameters = list(quantizer.parameters())
        if parameters and result.loss.requires_grad:
            result.loss.backward()
            torch.optim.SGD(parameters, lr=0.1).step()
        by_optimizer = any(
            parameter is holder
            for parameter in parameters
            for holder in (quantizer.codebook_parameters() if learning == "gradient" else [])
        ) and not torch.equal(quantizer.codebooks(), before)
        tall = [p for p in parameters if p.shape[-2:] == (SIZE, WIDTH)]
        if (by_pass, by_optimizer) != (learning == "averages", learning == "gradient"):
            wrong.append(f"{learning}: pass {by_pass}, optimizer {by_optimizer}")
        if learning == "averages" and tall:
            wrong.append("averaged codebook is a parameter")
    return Result(not wrong, "one of them" if not wrong else wrong[0])


@line("S2", "first average keeps k-means error", "forward", "averages", "start")
def s2(adapter):
    quantizer = build(adapter, start=True).train()
    z = latents()
    with torch.no_grad():
        at_start = squared_error(z, quantizer(z).z_q)
        ratio = squared_error(z, quantizer.eval()(z).z_q) / at_start
    return Result(ratio <= 1.05, f"x {ratio:.3g}")


@line("S3", "few samples give distinct codes", "forward", "start")
def s3(adapter):
    quantizer = build(adapter, 1, start=True).train()
    try:
        quantizer(latents(5))
    except (ValueError, RuntimeError) as error:
        said = any(word in str(error).lower() for word in ("sample", "vector", "fewer"))
        return Result(said, type(error).__name__, str(error))
    copies = SIZE - len(quantizer.codebooks()[0].unique(dim=0))
    return Result(copies == 0, f"{copies} of {SIZE} are copies")


@line("S4", "revived code is there later", "forward", "averages", "revival")
def s4(adapter):
    quantizer = started(adapter, 1, revive=True)
    quantizer.make_dead(3, torch.full((WIDTH,), 100.0))
    mask = torch.arange(ROWS) % 2 == 0 if "mask" in adapter.features else None
    for seed in range(30):
        z = latents(seed=seed)
        if mask is not None:
            z[~mask] = 1e4
        with torch.no_grad():
            quantizer(z, mask=mask)
        code = quantizer.codebooks()[0, 3]
        if code.norm() < 50 or code.norm() > 1000:
            break
    else:
        return Result(False, "undone in the same pass")
    if code.norm() > 1000:
        return Result(False, "masked site was sampled")
    with torch.no_grad():
        for seed in range(50):
            quantizer(latents(seed=100 + seed))
    used = int((quantizer.eval().encode(latents(3000, seed=7)) == 3).sum())
    return Result(used > 0, f"used {percent(used / 3000)}")


@line("S5", "codes set by user stay", "forward", "averages")
def s5(adapter):
    moved = []
    for shift in (-0.5, 0.5):
        quantizer = build(adapter, 1, decay=0.99).train()
        codes = latents(SIZE, seed=3) + shift
        quantizer.set_codebooks(codes[None])
        with torch.no_grad():
            quantizer(latents())
        moved.append(float((quantizer.codebooks()[0] - codes).norm() / codes.norm()))
    worst = max(moved)
    moved_by = percent(worst) if worst < 10 else "> 1000 %"
    return Result(worst <= 0.05, f"{moved_by} of their norm")


@line("S6", "evaluation changes no state", "forward")
def s6(adapter):
    wrong = []
    options = {"start": True} if "start" in adapter.features else {}
    for name, quantizer in (("fresh", build(adapter, **options)), ("used", started(adapter))):
        before = state_of(quantizer.eval())
        with torch.no_grad():
            quantizer(latents(seed=1))
            quantizer.encode(latents(seed=1))
        if changed(before, state_of(quantizer)):
            wrong.append(name)
    return Result(not wrong, "same bits" if not wrong else f"{' and '.join(wrong)}: changed")


@line("S7", "freezing stops all learning", "forward", "freeze")
def s7(adapter):
    wrong = []
    revive = {"revive": True} if "revival" in adapter.features else {}
    options = {"start": True} if "start" in adapter.features else {}
    for name, quantizer in (
        ("start", build(adapter, **options, **revive)),
        ("learning", started(adapter, **revive)),
    ):
        quantizer.freeze()
        before = state_of(quantizer.train())
        for seed in range(11):
            learn(quantizer, latents(seed=5 + seed))
        if changed(before, state_of(quantizer)):
            wrong.append(name)
    return Result(not wrong, "stays" if not wrong else f"{' and '.join(wrong)} went on")


@line("S8", "loaded state and copies work", "forward")
def s8(adapter):
    options = {"start": True} if "start" in adapter.features else {}
    source, fresh = started(adapter), build(adapter, **options).train()
    fresh.load_state_dict(source.state_dict())
    twin = copy.deepcopy(source)
    before = state_of(source)
    for quantizer in (fresh, twin):
        torch.manual_seed(1)
        learn(quantizer, latents(seed=2))
    if changed(before, state_of(source)):
        return Result(False, "copy shares state")
    torch.manual_seed(1)
    learn(source, latents(seed=2))
    wrong = [
        name
        for name, quantizer in (("loaded", fresh), ("copied", twin))
        if changed(state_of(source), state_of(quantizer))
    ]
    return Result(not wrong, "same" if not wrong else f"{' and '.join(wrong)}: differs")


@line("S9", "one codebook update per step", "forward")
def s9(adapter):
    z = latents(seed=1)
    origin = started(adapter)
    whole, parts, again = (origin.twin() for _ in range(3))
    before = origin.codebooks()
    with torch.no_grad():
        whole(z)
        parts.accumulate(list(z.split(75)))
    leaf = z.clone().requires_grad_()
    with again.one_step():
        z_q, _, loss = checkpoint(lambda x: again(x)[:3], leaf, use_reentrant=False)
        (z_q.sum() + loss).backward()
    step = (whole.codebooks() - before).norm().clamp(min=1e-6)
    wrong = [
        f"{name} {percent(off)} off"
        for name, quantizer in (("accumulated", parts), ("checkpointed", again))
        if (off := float((quantizer.codebooks() - whole.codebooks()).norm() / step)) > 1e-2
    ]
    return Result(not wrong, "one" if not wrong else ", ".join(wrong))


@line("S10", "turns share one codebook version", "forward", "averages", "shared")
def s10(adapter):
    quantizer = started(adapter, shared=True, decay=0.0)
    before = quantizer.twin().eval()
    z = latents(seed=1)
    with torch.no_grad():
        found, expected = quantizer(z).codes, before.encode(z)
    share = (found != expected).any(dim=1).double().mean()
    return Result(bool(share == 0), f"{percent(share)} of rows differ")


@line("S11", "NaN row disturbs no other", "forward")
def s11(adapter):
    z, others = latents(seed=1), torch.arange(ROWS) != 11
    origin = started(adapter)
    worst_rows = worst_codes = 0.0
    flagged = True
    for bad in (torch.nan, torch.inf):
        z[11, 2] = bad
        poisoned, clean = origin.twin(), origin.twin()
        for _ in range(2):
            found, expected = learn(poisoned, z), learn(clean, z[others])
        row = (found.codes[others] != expected.codes).any(dim=1).double().mean()
        difference = (poisoned.codebooks() - clean.codebooks()).abs()
        code = (~(difference <= 1e-3)).any(dim=-1).double().mean()
        worst_rows, worst_codes = max(worst_rows, float(row)), max(worst_codes, float(code))
        seen = found.z_q[11] if found.norm is None else found.norm[11]
        flagged = flagged and not bool(seen.detach().isfinite().all())
    text = f"{percent(worst_rows)} of rows, {percent(worst_codes)} of codes"
    text += "" if flagged else ", not flagged"
    return Result(worst_rows == worst_codes == 0 and flagged, text)


@line("S12", "empty and smallest inputs work", "forward")
def s12(adapter):
    wrong = []
    mask = torch.zeros(ROWS, dtype=torch.bool)
    empty = {"empty": (torch.zeros(0, WIDTH), None)}
    if "mask" in adapter.features:
        empty["all masked"] = (latents(), mask)
    for name, (z, masked) in empty.items():
        quantizer = started(adapter)
        before = state_of(quantizer)
        found = _outcome(lambda q=quantizer, z=z, m=masked: q(z.clone().requires_grad_(), mask=m))
        if found == "" and changed(before, state_of(quantizer)):
            found = "changes state"
        if found:
            wrong.append(f"{name}: {found}")
    sizes = {"N=1": (1, SIZE, WIDTH), "K=1": (9, 1, WIDTH), "d=1": (9, SIZE, 1)}
    for name, (rows, size, width) in sizes.items():
        start = {"start": True} if "start" in adapter.features else {}
        quantizer = build(adapter, size=size, width=width, **start).train()
        z = latents(rows, width=width).requires_grad_()
        found = _outcome(lambda q=quantizer, z=z: [q(z) for _ in range(DEPTH + 1)][-1])
        if found:
            wrong.append(f"{name}: {found}")
    return Result(not wrong, "finite" if not wrong else "; ".join(wrong))


def _outcome(forward) -> str:
    """Give what is wrong with a loss, or nothing."""
    try:
        loss = forward().loss
        if loss.requires_grad:
            loss.backward()
    except Exception as error:
        return type(error).__name__
    return "" if math.isfinite(float(loss.detach())) else "loss not finite"

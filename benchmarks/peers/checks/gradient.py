"""Lines G1 to G7."""

import torch
from data import DEPTH, ROWS, SIZE, WIDTH, latents, partial_sums
from lines import NotApplicable, Result, line, percent
from torch import Tensor

from checks.building import known, started


def _close(left: Tensor, right: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((left - right).abs().max() <= tolerance * right.abs().max())


def _gradient(value: Tensor, z: Tensor, upstream: Tensor | None = None) -> Tensor:
    """Differentiate; what does not depend on ``z`` has gradient zero."""
    if not value.requires_grad:
        return torch.zeros_like(z)
    found = torch.autograd.grad(value, z, upstream, allow_unused=True, retain_graph=True)[0]
    return torch.zeros_like(z) if found is None else found


@line("G1", "straight-through gradient is the identity", "forward")
def g1(adapter):
    quantizer = known(adapter)
    z, upstream = latents().requires_grad_(), latents(seed=1)
    turns = torch.arange(ROWS) % (quantizer.depth + 1) if "per_site" in adapter.features else None
    gradient = _gradient(quantizer(z, turns=turns).z_q, z, upstream)
    factor = float((gradient * upstream).sum() / upstream.square().sum())
    return Result(_close(gradient, upstream, 1e-6), f"x {factor:.3g}")


@line("G2", "masked rows get no gradient", "forward", "mask")
def g2(adapter):
    quantizer = known(adapter)
    z, mask = latents().requires_grad_(), torch.arange(ROWS) % 3 > 0
    result = quantizer(z, mask=mask)
    gradient = _gradient(result.z_q.sum() + result.loss, z)
    leaking = (gradient[~mask] != 0).any(dim=1).double().mean()
    reached = (gradient[mask] != 0).any(dim=1).double().mean()
    return Result(bool(leaking == 0 and reached == 1), f"{percent(leaking)} leak")


@line("G3", "turns not run add nothing", "forward", "deep", "turns")
def g3(adapter):
    z = latents().requires_grad_()
    deep, shallow = known(adapter, DEPTH), known(adapter, 2)
    found, expected = deep(z, turns=2), shallow(z)
    ratio = float(found.loss.detach() / expected.loss.detach())
    same = _close(_gradient(found.loss, z), _gradient(expected.loss, z))
    return Result(same and abs(ratio - 1) < 1e-5, f"loss x {ratio:.3g}")


@line("G4", "every turn gets commitment gradient", "forward")
def g4(adapter):
    """Find how much each turn pulls: the gradient is a sum over turns of ``w (z - partial)``."""
    quantizer = known(adapter, fixed_depth=True)
    codebooks = quantizer.codebooks()
    z = latents().requires_grad_()
    result = quantizer(z)
    gradient = _gradient(result.loss, z).double()
    partial = partial_sums(codebooks, result.codes.clamp(min=0))
    pulls = (z.detach() - partial).double().flatten(1).T
    weights = torch.linalg.lstsq(pulls, gradient.reshape(-1, 1), driver="gelsd").solution[:, 0]
    count = int((weights > 1e-3 * weights.max()).sum()) if weights.max() > 0 else 0
    return Result(count == quantizer.depth, f"{count} of {quantizer.depth}")


@line("G5", "only used codes get gradient", "forward", "gradient")
def g5(adapter):
    quantizer = known(adapter, learning="gradient")
    result = quantizer(latents(5).requires_grad_())
    result.loss.backward()
    parameters = quantizer.codebook_parameters()
    groups = result.codes.T if len(parameters) > 1 else result.codes.reshape(1, -1)
    wrong = 0
    for parameter, codes in zip(parameters, groups, strict=True):
        used = torch.zeros(SIZE, dtype=torch.bool)
        used[codes[codes >= 0]] = True
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        moved = (gradient.reshape(SIZE, WIDTH) != 0).any(dim=1)
        wrong += int((moved != used).sum())
    return Result(wrong == 0, f"{wrong} of {SIZE * len(parameters)} codes wrong")


@line("G6", "loss ignores padding and depth", "forward")
def g6(adapter):
    if not adapter.features & {"mask", "turns"}:
        raise NotApplicable("mask")
    ratios = []
    if "mask" in adapter.features:
        padded = torch.cat([latents(), 50 * latents(37, seed=1), torch.zeros(500, WIDTH)])
        masked = known(adapter)(padded, mask=torch.arange(len(padded)) < ROWS)
        ratios.append(float(masked.loss.detach() / known(adapter)(latents()).loss.detach()))
    if "turns" in adapter.features:
        deep = known(adapter, 3 * DEPTH)(latents(), turns=DEPTH)
        ratios.append(float(deep.loss.detach() / known(adapter)(latents()).loss.detach()))
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    return Result(abs(worst - 1) < 1e-5, f"x {worst:.3g}")


@line("G7", "nothing is edited in place", "forward")
def g7(adapter):
    options = {"revive": True} if "revival" in adapter.features else {}
    quantizer = started(adapter, **options)
    kept = latents(seed=1)
    z = kept.clone().requires_grad_()
    with torch.autograd.set_detect_anomaly(True):
        result = quantizer(z)
        total = result.loss + result.z_q.square().sum()
        first = _gradient(total, z)
        quantizer(z)
        second = _gradient(total, z)
    same = torch.equal(first, second) and torch.equal(z.detach(), kept)
    return Result(same, "twice the same" if same else "gradient changed")

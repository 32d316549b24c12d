"""Lines D1 to D5: two processes that build the module before they find each other."""

import torch
from adapters.base import Adapter
from data import DEPTH, WIDTH, latents
from lines import Result, line, percent
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from checks.building import build, known, started
from checks.ranks import on_two_ranks

_STEPS = 20


class Model(nn.Module):
    """A linear encoder in front of a quantizer."""

    def __init__(self, quantizer: Adapter) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.Linear(WIDTH, WIDTH)
        self.quantizer = quantizer

    def forward(self, z: Tensor, turns: int | Tensor | None = None) -> tuple[Tensor, Tensor]:
        result = self.quantizer(self.encoder(z), turns=turns)
        return result.z_q, result.loss


def _batch(scenario: str, step: int, rank: int) -> tuple[Tensor, Tensor]:
    """Uneven batches; for "no dead code" one rank uses every code and the other only one."""
    rows = 40 + 35 * rank
    if scenario == "no dead code" and rank == 0:
        rows = 400
    z = latents(rows, seed=2 * step + rank)
    if scenario == "no dead code" and rank == 1:
        z = z[:1].expand(rows, -1).clone()
    empty = scenario == "no valid site" and rank == (step + 1) % 2
    return z, torch.full((rows,), not empty)


def _ways(adapter: type[Adapter]) -> list[str]:
    return [way for way in ("averages", "gradient") if way in adapter.features]


def _recommended(adapter: type[Adapter], learning: str) -> Adapter:
    """Build one that still has to start from data, where it can."""
    if "start" in adapter.features:
        return build(adapter, learning=learning, start=True).train()
    return known(adapter, learning=learning)


def _train(adapter: type[Adapter], scenario: str, seeds: bool):
    """Train for a while; averages keep themselves in step, parameters are kept so by DDP."""

    def run(rank: int):
        options = {}
        if "averages" in adapter.features:
            options = {"start": True, "revive": True}
        if scenario == "no dead code":
            options["decay"] = 0.8  # so that codes die within the few steps
        quantizer = build(adapter, seed=rank if seeds else 0, **options).train()
        yield
        if quantizer.learning == "gradient":
            model = DistributedDataParallel(quantizer, broadcast_buffers=False)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(_STEPS):
            z, mask = _batch(scenario, step, rank)
            if quantizer.learning == "gradient":
                optimizer.zero_grad()
                result = model(z)
                (result.loss + result.z_q.square().mean()).backward()
                optimizer.step()
            else:
                given = {"mask": mask} if scenario == "no valid site" else {}
                with torch.no_grad():
                    quantizer(z, **given)
        return quantizer.codebooks().numpy()

    return run


def _apart(adapter: type[Adapter], scenario: str, seeds: bool = False) -> tuple[str, str]:
    """Say how the ranks end up differently, or nothing, and what was raised."""
    try:
        first, second = on_two_ranks(_train(adapter, scenario, seeds))
    except TimeoutError:
        return "hangs", ""
    except RuntimeError as error:
        return str(error).split(":")[0], str(error).strip().splitlines()[-1]
    return "" if (first == second).all() else "ranks differ", ""


@line("D1", "ranks stay bit-equal, nothing hangs", "forward", group="ranks")
def d1(adapter):
    scenarios = ["uneven", "no dead code"]
    if "mask" in adapter.features:
        scenarios.append("no valid site")
    found = {scenario: _apart(adapter, scenario) for scenario in scenarios}
    wrong = [f"{scenario}: {what}" for scenario, (what, _) in found.items() if what]
    notes = [f"{scenario}: {note}" for scenario, (_, note) in found.items() if note]
    return Result(not wrong, "; ".join(wrong) or "bit-equal", "; ".join(notes))


@line("D2", "the same with different seeds", "forward", group="ranks")
def d2(adapter):
    found, note = _apart(adapter, "uneven", seeds=True)
    return Result(found == "", found or "bit-equal", note)


@line("D3", "DDP runs without unused parameters", "forward", group="ranks")
def d3(adapter):
    rows = 40
    mixes: list = [None, None, None]
    if "turns" in adapter.features:
        mixes = [1, DEPTH, 2]
    if "per_site" in adapter.features:
        mixes = [0, DEPTH, torch.arange(rows) % (DEPTH + 1), None]

    for learning in _ways(adapter):

        def run(rank: int, learning=learning):
            model = Model(_recommended(adapter, learning))
            yield
            parallel = DistributedDataParallel(model)
            for step in range(2 * len(mixes)):
                turns = mixes[step % len(mixes)]
                z_q, loss = parallel(latents(rows, seed=2 * step + rank), turns)
                (loss + z_q.square().mean()).backward()
            return True

        try:
            on_two_ranks(run)
        except (RuntimeError, TimeoutError) as error:
            return Result(False, f"{learning}: {type(error).__name__}", str(error)[:300])
    return Result(True, f"{len(mixes)} mixes")


@line("D4", "evaluation alone needs no partner", "forward", group="ranks")
def d4(adapter):
    def run(rank: int):
        quantizer = known(adapter)
        yield
        with torch.no_grad():
            quantizer(latents(seed=rank))
            if rank == 0:
                quantizer.eval()
                z = latents(seed=9)
                quantizer.decode(quantizer.encode(z))
                quantizer(z)
        return True

    try:
        on_two_ranks(run)
    except TimeoutError:
        return Result(False, "hangs")
    return Result(True, "no collective")


@line("D5", "gradient of the joined batch", "forward", group="ranks")
def d5(adapter):
    """Every rank's loss is averaged by DDP, once for even and once for uneven batches."""
    off = {"even": 0.0, "uneven": 0.0}
    for learning in _ways(adapter):
        origin = started(adapter, learning=learning)
        for name, sizes in (("even", (60, 60)), ("uneven", (40, 75))):
            batches = [latents(size, seed=size + rank) for rank, size in enumerate(sizes)]

            def run(rank: int, origin=origin, batches=batches):
                model = Model(origin.twin())
                yield
                parallel = DistributedDataParallel(model)  # must outlive the backward pass
                z_q, loss = parallel(batches[rank])
                (loss + 0.0 * z_q.sum()).backward()  # DDP wants every parameter to take part
                return [gradient.numpy() for gradient in _gradients(model)]

            joined = Model(origin.twin())
            z_q, loss = joined(torch.cat(batches))
            (loss + 0.0 * z_q.sum()).backward()
            for found, expected in zip(on_two_ranks(run)[0], _gradients(joined), strict=True):
                error = (torch.from_numpy(found) - expected).abs().max()
                share = float(error / expected.abs().max().clamp(min=1e-6))
                off[name] = max(off[name], share)
    text = ", ".join(f"{name} {percent(value)}" for name, value in off.items()) + " off"
    return Result(max(off.values()) < 1e-4, "equal" if max(off.values()) < 1e-4 else text)


def _gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

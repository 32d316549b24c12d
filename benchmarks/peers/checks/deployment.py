"""Lines E1 to E5: compiling, exporting, memory."""

import io
from pathlib import Path

import torch
from adapters.base import Adapter
from data import DEPTH, WIDTH, latents
from lines import NotApplicable, Result, line
from torch import Tensor, nn

from checks.building import build, known, started


class _Encode(nn.Module):
    def __init__(self, quantizer: Adapter) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, z: Tensor) -> Tensor:
        return self.quantizer.encode(z)


class _Decode(_Encode):
    def forward(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)


@line("E1", "compiles as one full graph", "module", group="export")
def e1(adapter):
    """Capture is what differs between libraries, so the backend is the quick ``aot_eager``."""
    origin = started(adapter, **({"revive": True} if "revival" in adapter.features else {}))
    expected = origin.twin().eval()(latents(seed=1)).codes
    wrong, note = [], ""
    for mode in ("train", "eval"):
        torch._dynamo.reset()
        quantizer = origin.twin().train(mode == "train")
        compiled = torch.compile(quantizer, fullgraph=True, backend="aot_eager")
        try:
            for seed in range(2):
                result = compiled(latents(seed=seed).requires_grad_())
                if mode == "train":
                    (result.loss + result.z_q.square().mean()).backward()
            if mode == "eval" and not torch.equal(result.codes, expected):
                wrong.append("eval: other codes")
        except Exception as error:
            wrong.append(f"{mode}: {type(error).__name__}")
            note = note or " ".join(str(error).split())[:300]
    return Result(not wrong, "train and eval" if not wrong else "; ".join(wrong), note)


@line("E2", "exports with a dynamic batch", "module", group="export")
def e2(adapter):
    quantizer = started(adapter).eval()
    z = latents(77, seed=1)
    expected = quantizer.encode(z)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(_Encode(quantizer), (latents(),), dynamic_shapes=shapes)
    same = torch.equal(program.module()(z), expected)
    return Result(same, "same codes" if same else "other codes")


@line("E3", "ONNX gives the same codes", "module", group="export")
def e3(adapter):
    import onnxruntime

    quantizer = started(adapter).eval()
    z = latents(77, seed=1)
    codes = quantizer.encode(z)
    cases = {
        "encode": (_Encode(quantizer), latents(), z, codes),
        "decode": (_Decode(quantizer), quantizer.encode(latents()), codes, quantizer.decode(codes)),
    }
    wrong, note = [], ""
    for name, (module, example, given, expected) in cases.items():
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        try:
            program = torch.onnx.export(
                module.eval(), (example,), dynamo=True, dynamic_shapes=shapes, verbose=False
            )
            file = io.BytesIO()
            program.save(file)
            session = onnxruntime.InferenceSession(file.getvalue())
            (found,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}")
            note = note or " ".join(str(error.__cause__ or error).split())[:300]
            continue
        near = torch.allclose(torch.from_numpy(found).to(expected.dtype), expected, atol=1e-6)
        wrong += [] if near else [f"{name}: other values"]
    return Result(not wrong, "encode and decode" if not wrong else "; ".join(wrong), note)


@line("E4", "no GPU synchronisation per turn", "module", group="export")
def e4(adapter):
    """Count the warnings of torch's own synchronisation check at two depths."""
    import warnings

    if not torch.cuda.is_available():
        raise NotApplicable("gpu")
    counts = []
    for depth in (2, DEPTH * 2):
        quantizer = known(adapter, depth).eval().cuda()
        z = latents().cuda()
        quantizer.encode(z)
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            quantizer.encode(z)
        torch.cuda.set_sync_debug_mode("default")
        counts.append(len(seen))
    return Result(counts[0] == counts[1], f"{counts[0]} and {counts[1]} synchronisations")


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(row.split()[1] for row in lines if row.startswith("VmHWM")))


@line("E5", "at most 1 byte per pair", group="memory")
def e5(adapter):
    """Peak of the process over one search, one turn, 65,536 rows and 8,192 codes."""
    rows, size = 65536, 8192
    quantizer = build(adapter, 1, size=size)
    quantizer.set_codebooks(latents(size, seed=2)[None])
    z = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        quantizer.eval().encode(z[:64])
        before = _peak_bytes()
        quantizer.encode(z)
    per_pair = (_peak_bytes() - before) / (rows * size)
    return Result(per_pair <= 1, f"{per_pair:.2g} bytes")

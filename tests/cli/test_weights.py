import hashlib

import torch

from loopyvq.losses.perceptual import LPIPS


def test_weights_are_converted(run, tmp_path):
    torch.manual_seed(0)
    trunk, heads = tmp_path / "vgg16.pth", tmp_path / "vgg.pth"
    state = LPIPS().trunk.state_dict()
    torch.save(state, trunk)
    torch.save(
        {f"lin{index}.model.1.weight": item for index, item in enumerate(LPIPS().heads)}, heads
    )
    words = ["weights", "convert", trunk, "--heads", heads, "--out", tmp_path / "out"]
    code, _, err = run(*words)
    assert code == 2
    assert "SHA-256" in err
    digest = hashlib.sha256(trunk.read_bytes()).hexdigest()
    code, out, _ = run(*words, "--sha256", digest[:8])
    assert code == 0
    assert out.strip().endswith("lpips_vgg16.safetensors")

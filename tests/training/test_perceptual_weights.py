import hashlib
import pickle

import pytest
import torch

from loopyvq.errors import CheckpointError
from loopyvq.losses.perceptual import LPIPS
from loopyvq.training.perceptual_weights import convert_lpips, load_lpips


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of random weights in torchvision's layout, classifier included; its SHA-256."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    state = {
        f"features.{name}": value for name, value in LPIPS().trunk.features.state_dict().items()
    }
    torch.save(state | {"classifier.0.weight": torch.zeros(10, 10)}, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    path = tmp_path_factory.mktemp("heads") / "vgg.pth"
    widths = (64, 128, 256, 512, 512)
    torch.save(
        {f"lin{i}.model.1.weight": torch.full((1, w, 1, 1), 0.1) for i, w in enumerate(widths)},
        path,
    )
    return path


def test_what_is_converted_loads(published, heads, tmp_path):
    trunk, digest = published
    out = convert_lpips(trunk, tmp_path / "folder", heads, digest[:8])
    assert out == tmp_path / "folder" / "lpips_vgg16.safetensors"
    for place in (out, out.parent):
        distance = load_lpips(place)
        stored = torch.load(trunk, weights_only=True)["features.28.weight"]
        assert torch.equal(distance.trunk.features["28"].weight, stored)
        assert distance.heads[4].unique().tolist() == pytest.approx([0.1])


def test_the_heads_come_with_torchmetrics(published, tmp_path):
    pytest.importorskip("torchmetrics")
    trunk, digest = published
    distance = load_lpips(convert_lpips(trunk, tmp_path, sha256_prefix=digest))
    assert (distance.heads[0] >= 0).all()


def test_another_file_than_the_published_one_is_refused(published, heads, tmp_path):
    with pytest.raises(CheckpointError, match="not the file that is meant"):
        convert_lpips(published[0], tmp_path, heads)
    assert not list(tmp_path.iterdir())


def test_damaged_and_strange_files_are_refused(published, heads, tmp_path):
    cut = tmp_path / "cut.pth"
    cut.write_bytes(published[0].read_bytes()[:1000])
    digest = hashlib.sha256(cut.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match="damaged"):
        convert_lpips(cut, tmp_path, heads, digest)
    junk = tmp_path / "junk.pth"
    for content in (b"", b"no weights at all", pickle.dumps({"a": print})):
        junk.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged or no file of weights") as caught:
            convert_lpips(junk, tmp_path, heads, hashlib.sha256(content).hexdigest())
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"lacks lin0"):
        convert_lpips(published[0], tmp_path, published[0], published[1])
    with pytest.raises(CheckpointError, match="cannot read"):
        convert_lpips(tmp_path / "none.pth", tmp_path, heads, digest)


def test_absent_weights_are_said_to_be_absent(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="kind pyramid, which needs none"):
        load_lpips(tmp_path)
    monkeypatch.setenv("LOOPYVQ_WEIGHTS", str(tmp_path / "named"))
    with pytest.raises(CheckpointError, match="named"):
        load_lpips()

import contextlib
import pickle
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopyvq.errors import CheckpointError
from loopyvq.interop.torch_file import TorchFile, write_torch_file

ALL = {
    "float": torch.randn(3, 4),
    "half": torch.randn(5).half(),
    "bfloat": torch.randn(2, 2).bfloat16(),
    "double": torch.randn(1).double(),
    "long": torch.arange(6),
    "int": torch.arange(3, dtype=torch.int32),
    "byte": torch.arange(3, dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 4),
    "transposed": torch.randn(3, 4).T,
    "view": torch.randn(10)[3:7],
    "expanded": torch.randn(3, 1).expand(3, 1),
    "channels_last": torch.randn(1, 4, 3, 3).contiguous(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(torch.randn(2)),
}


def replace_member(path, ending, blob, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            kept = blob if name.endswith(ending) else content
            if kept is not None:
                archive.writestr(name, kept)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "file.ckpt"
    torch.save({"state_dict": ALL, "step": 3}, path)
    return path


def test_every_kind_of_tensor_comes_back(saved):
    file = TorchFile(saved)
    assert file.values["step"] == 3
    found = file.tensors(file.values["state_dict"])
    for name, tensor in ALL.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
        assert found[name].is_contiguous(), name


def test_what_is_written_torch_reads_and_so_do_we(tmp_path):
    path = tmp_path / "out" / "last.ckpt"
    write_torch_file(path, {"state_dict": {"a": torch.ones(2)}, "epoch": 1})
    loaded = torch.load(path, weights_only=True)
    assert loaded["epoch"] == 1
    assert torch.equal(loaded["state_dict"]["a"], torch.ones(2))
    file = TorchFile(path)
    assert torch.equal(file.tensors(file.values["state_dict"])["a"], torch.ones(2))


def test_a_truncated_file_gives_one_line(saved):
    blob = saved.read_bytes()
    for size in (0, 1, 100, len(blob) // 2, len(blob) - 1):
        saved.write_bytes(blob[:size])
        with pytest.raises(CheckpointError, match="is truncated, damaged or no zip"):
            TorchFile(saved)


def test_a_missing_file_a_bare_pickle_and_an_old_file(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        TorchFile(tmp_path / "none.ckpt")
    bare = tmp_path / "bare.ckpt"
    bare.write_bytes(pickle.dumps(print))
    with pytest.raises(CheckpointError, match="no zip file"):
        TorchFile(bare)
    torch.save({"a": torch.ones(1)}, bare, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"torch before 1\.6"):
        TorchFile(bare)


def test_storages_that_lie_are_damage(saved):
    file = TorchFile(saved)
    stored = file.values["state_dict"]["float"]
    for changes, message in (
        ({"offset": 1}, "larger than its storage"),
        ({"shape": (10**9, 10**9), "strides": (0, 0)}, "larger than its storage"),
        ({"storage_size": 99}, "lacks values"),
        ({"key": "999"}, "has no values"),
    ):
        with pytest.raises(CheckpointError, match=message):
            file.tensors({"x": stored._replace(**changes)})
    with pytest.raises(CheckpointError, match="is no tensor"):
        file.tensors({"x": 3})


def test_strange_archives_are_refused(saved):
    blob = saved.read_bytes()
    replace_member(saved, "byteorder", b"big")
    with pytest.raises(CheckpointError, match="big-endian"):
        TorchFile(saved)
    saved.write_bytes(blob)
    replace_member(saved, "data.pkl", None)
    with pytest.raises(CheckpointError, match=r"no file of torch\.save"):
        TorchFile(saved)
    saved.write_bytes(blob)
    replace_member(saved, "nothing", None, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="is compressed"):
        TorchFile(saved)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_bytes_come_only_our_error_goes(tmp_path, data):
    path = tmp_path / "fuzzed.ckpt"
    torch.save({"state_dict": {"a": torch.ones(4)}}, path)
    blob = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(blob))
    with contextlib.suppress(CheckpointError):
        file = TorchFile(path)
        values = file.values if isinstance(file.values, dict) else {}
        state = values.get("state_dict")
        file.tensors(state if isinstance(state, dict) else {})

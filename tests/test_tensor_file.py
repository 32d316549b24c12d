import json

import pytest
import torch
from safetensors.torch import save_file

from loopyvq.errors import BitstreamError, CheckpointError
from loopyvq.tensor_file import kind_of, read_tensors, write_atomically, write_tensors


def test_tensors_and_header_come_back(tmp_path):
    write_tensors(tmp_path / "sub" / "x", "thing", {"a": torch.arange(3)}, note=[1, "two"])
    tensors, header = read_tensors(tmp_path / "sub" / "x", "thing")
    assert torch.equal(tensors["a"], torch.arange(3))
    assert header["note"] == [1, "two"]


def test_a_newer_foreign_or_other_file_is_refused(tmp_path):
    path = tmp_path / "x"
    write_tensors(path, "thing", {})
    with pytest.raises(BitstreamError, match="is a thing, not a model"):
        read_tensors(path, "model", BitstreamError)
    save_file({}, path, metadata={"loopyvq": json.dumps({"format_version": 99, "kind": "thing"})})
    with pytest.raises(CheckpointError, match="version 99"):
        read_tensors(path, "thing")
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not written by loopyvq"):
        read_tensors(path, "thing")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loopyvq.tensor_file.os.fsync", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_kind_is_told_without_reading_and_strangers_have_none(tmp_path):
    write_tensors(tmp_path / "x", "thing", {"a": torch.arange(3)})
    assert kind_of(tmp_path / "x") == "thing"
    (tmp_path / "y").write_text("no tensors")
    assert kind_of(tmp_path / "y") is None
    assert kind_of(tmp_path / "z") is None


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        write_atomically(tmp_path / "photo.jpg" / "x", b"1")

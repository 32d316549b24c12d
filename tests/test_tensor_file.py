import json
import os
import threading
from pathlib import Path

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


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    links = [tmp_path / "link", tmp_path / "again"]
    links[0].symlink_to("there/file")
    links[1].symlink_to("link")
    for blob, link in zip((b"first", b"second"), links, strict=True):
        write_atomically(link, blob)
        assert link.is_symlink()
        assert (there / "file").read_bytes() == blob
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["again", "file", "link", "there"]


def test_a_pipe_stays_and_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_atomically(tmp_path / "pipe", b"through")
    reader.join()
    assert found == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_and_a_pipe_without_a_name_stay(tmp_path):
    null = Path(os.devnull)
    before = null.stat().st_rdev
    (tmp_path / "null").symlink_to(null)
    write_atomically(tmp_path / "null", b"nothing")
    assert null.stat().st_rdev == before
    end, start = os.pipe()
    write_atomically(Path(f"/dev/fd/{start}"), b"through")
    assert os.read(end, 99) == b"through"
    for descriptor in (end, start):
        os.close(descriptor)


def test_a_folder_in_the_place_of_a_file_stays(tmp_path):
    with pytest.raises(CheckpointError, match="Is a directory"):
        write_atomically(tmp_path, b"1")


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    write_atomically(tmp_path / ("n" * 255), b"1")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"1"
    with pytest.raises(CheckpointError, match="File name too long"):
        write_atomically(tmp_path / ("n" * 256), b"1")
    assert len(list(tmp_path.iterdir())) == 1


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

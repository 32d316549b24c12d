import os

import numpy as np
import pytest

from loopyvq.cli.inputs import input_files, open_codec, read_array, read_codes, read_file
from loopyvq.errors import BitstreamError, ConfigError, DataError


def test_arrays_are_read_without_pickles(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "many.npz", a=np.ones(2))
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04 and then nothing")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 2), }"
    for name, text in (("huge", header), ("cut", header[:30])):
        start = b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little")
        (tmp_path / f"{name}.npy").write_bytes(start + text + b"\n")
    names = ("objects", "empty", "none", "zip", "huge", "cut")
    for name in ("many.npz", *(f"{name}.npy" for name in names)):
        with pytest.raises(DataError):
            read_array(tmp_path / name)


def test_inputs_are_files_and_folders(tmp_path):
    (tmp_path / "f" / "g").mkdir(parents=True)
    for name in ("f/g/a.lvq", "f/b.lvq", "f/c.txt"):
        (tmp_path / name).write_bytes(b"")
    names = [name for _, name in input_files([str(tmp_path / "f")], ".lvq")]
    assert names == ["b.lvq", "g/a.lvq"]
    assert input_files([str(tmp_path / "f" / "c.txt")], ".lvq")[0][1] == "c.txt"
    for missing in ("none", "f/g/none"):
        with pytest.raises(DataError, match="there is no file"):
            input_files([str(tmp_path / missing)], ".lvq")
    with pytest.raises(DataError, match=r"no \.txt files"):
        input_files([str(tmp_path / "f" / "g")], ".txt")


def test_a_model_is_loaded_once_until_it_changes(workspace, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes((workspace / "run" / "best.safetensors").read_bytes())
    first = open_codec(str(model), "cpu")
    assert open_codec(str(model), "cpu") is first
    os.utime(model, ns=(1, 1))
    assert open_codec(str(model), "cpu") is not first


def test_codebooks_hold_floats(tmp_path):
    np.save(tmp_path / "codes.npy", np.ones((2, 2), int))
    with pytest.raises(ConfigError, match="floats"):
        read_codes(str(tmp_path / "codes.npy"))
    assert read_codes(None) is None


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BitstreamError, match="cannot read"):
        read_file(tmp_path)

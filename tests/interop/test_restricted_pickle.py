import builtins
import contextlib
import os
import pickle
import pickletools
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.errors import CheckpointError
from loopyvq.interop.restricted_pickle import read_pickle

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.lists(inner).map(tuple)
    ),
)


class Calls:
    """Pickles to a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@settings(max_examples=40)
@given(plain_values, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_plain_values_come_back(value, protocol):
    assert read_pickle(pickle.dumps(value, protocol=protocol), "file") == value


def test_an_ordered_dict_comes_back_without_its_attributes():
    value = OrderedDict(b=1, a=OrderedDict())
    value["a"].note = "lost"
    assert read_pickle(pickle.dumps(value, protocol=2), "file") == {"b": 1, "a": {}}


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch hacked",), r"posix\.system|nt\.system"),
        (builtins.eval, ("1+1",), r"eval"),
        (builtins.getattr, ("", "join"), r"getattr"),
        (torch.load, ("file",), r"torch\.serialization\.load"),
        (torch._utils._rebuild_tensor_v2, (1, 2), r"rebuild_tensor_v2"),
        (OrderedDict, (3,), r"OrderedDict"),
        (torch.FloatStorage, (3,), r"FloatStorage"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_call_of_anything_else_is_refused(
    function, arguments, name, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    blob = pickle.dumps({"state_dict": Calls(function, *arguments)}, protocol=protocol)
    with pytest.raises(CheckpointError, match=f"is refused: it asks for .*({name})") as caught:
        read_pickle(blob, "evil.ckpt")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_lightning_name_is_a_name_and_cannot_be_called(lightning_callback):
    blob = pickle.dumps({lightning_callback: 1}, protocol=2)
    assert list(read_pickle(blob, "file").values()) == [1]
    blob = pickle.dumps(Calls(lightning_callback), protocol=2)
    with pytest.raises(CheckpointError, match="a call of pytorch_lightning"):
        read_pickle(blob, "file")


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"hello",
        b"\x80\x02}q\x00",  # no end
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x02}}.",  # too much on it
        b"\x80\x02(.",  # only a mark
        b"\x80\x02h\x07.",  # a memory that was never filled
        b"\x80\x02]r\xff\xff\xff\x7fh\x00.",  # a huge place in the memory
        b"\x80\x02tu.",
        b"\x80\x02U\x03abcQ.",  # something outside
    ],
)
def test_damage_gives_one_line(blob):
    with pytest.raises(CheckpointError) as caught:
        read_pickle(blob, "file")
    assert "\n" not in str(caught.value)


def test_other_instructions_are_refused():
    for blob in (
        pickle.dumps(complex(1, 2), protocol=2),  # a global
        b"(cos\nsystem\nS'x'\no.",  # OBJ
        b"(S'x'\nios\nsystem\n.",  # INST
        b"\x80\x02\x82\x01.",  # EXT1
        pickle.dumps({1, 2}, protocol=4),  # EMPTY_SET
    ):
        with pytest.raises(CheckpointError, match=r"refused|damaged"):
            read_pickle(blob, "file")


def test_keys_whose_hash_takes_for_ever_are_refused():
    value: object = ()
    for _ in range(60):
        value = (value, value)
    with pytest.raises(CheckpointError, match="damaged"):
        read_pickle(b"\x80\x02}" + pickle.dumps(value, protocol=2)[2:-1] + b"K\x01s.", "file")


@given(st.data())
def test_whatever_bytes_come_only_our_error_goes(data):
    blob = bytearray(pickle.dumps({"a": [1, (2.0, "b")], "c": OrderedDict(d=None)}, protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CheckpointError):
        read_pickle(bytes(blob), "file")


def test_no_instruction_of_the_machine_is_misspelt():
    from loopyvq.interop.restricted_pickle import _CONSTANTS, _NOTHING, _VALUES, _Machine

    known = {opcode.name for opcode in pickletools.opcodes}
    assert {*_VALUES, *_CONSTANTS, *_NOTHING, *_Machine("file").actions} <= known

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.container import CHUNK_KINDS, Chunk, read_container, write_container
from loopyvq.coding.header import Header
from loopyvq.errors import BitstreamError

HEADER = Header("context", "6acc48727a0d", 512, 768, 3, 8, 0.25, 0)
CHUNKS = [Chunk("codebook", b"\0" * 200), Chunk("tokens", b"abc"), Chunk("tokens", b"")]
KINDS = st.sampled_from(sorted(CHUNK_KINDS))


@given(st.lists(st.tuples(KINDS, st.binary(max_size=300)), max_size=6))
@settings(max_examples=80, deadline=None)
def test_files_come_back(pairs):
    chunks = [Chunk(*pair) for pair in pairs]
    back = read_container(write_container(HEADER, chunks))
    assert back.chunks == chunks
    assert back.header == HEADER._replace(num_chunks=len(chunks))


def test_golden_bytes():
    data = write_container(HEADER, CHUNKS[1:])
    header = "4c56510108036acc48727a0d8004800608020000803e4a95"
    assert data.hex() == header + "0003616263c9a764b3" + "0000a3a1c2b1"


def test_a_chunk_costs_six_or_seven_bytes():
    sizes = [len(write_container(HEADER, CHUNKS[:count])) for count in range(4)]
    assert sizes == [24, 24 + 207, 24 + 207 + 9, 24 + 207 + 9 + 6]


def test_a_cut_file_gives_its_complete_chunks_if_asked_to():
    data = write_container(HEADER, CHUNKS)
    ends = [24, 231, 240, 246]
    for end in range(24, len(data)):
        with pytest.raises(BitstreamError):
            read_container(data[:end])
        complete = sum(end >= border for border in ends[1:])
        assert read_container(data[:end], partial=True).chunks == CHUNKS[:complete]


def test_every_changed_byte_is_noticed():
    data = write_container(HEADER, CHUNKS)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        with pytest.raises(BitstreamError):
            read_container(bytes(damaged))


def test_neither_appended_nor_exchanged_nor_foreign_chunks_pass():
    data = write_container(HEADER, CHUNKS)
    with pytest.raises(BitstreamError, match="follow the end"):
        read_container(data + b"\0")
    with pytest.raises(BitstreamError, match="check sum"):
        read_container(data[:24] + data[231:240] + data[24:231] + data[240:])
    other = write_container(HEADER._replace(threshold=0.5), CHUNKS)
    with pytest.raises(BitstreamError, match="check sum"):
        read_container(other[:24] + data[24:])


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_after_a_header_are_refused(data):
    with pytest.raises(BitstreamError):
        read_container(write_container(HEADER, CHUNKS)[:24] + data)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind"):
        write_container(HEADER, [Chunk("music", b"")])

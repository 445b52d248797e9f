"""IDX files and the opening of any: what is read, what is refused, and that nothing else comes of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct

import numpy as np
import pytest
from hostile import FUZZ, damaged, is_refused, memory_below
from hypothesis import given

from experiments.datasets import readers
from experiments.datasets.readers import DataError, check_file, file_digest, idx_digest, idx_shape, read_idx


def idx(array: np.ndarray) -> bytes:
    """An array of unsigned bytes in the IDX format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
PLAIN, PACKED = idx(IMAGES), gzip.compress(idx(IMAGES), mtime=0)


def in_members(contents: bytes) -> bytes:
    """Pack a text as bgzip and parallel packers do: in several gzip members, one after the other."""
    return b"".join(gzip.compress(part) for part in (contents[:7], contents[7:9], b"", contents[9:]))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write bytes to a file of the working folder; the path is relative, as a user would give it."""
    monkeypatch.chdir(tmp_path)

    def _write(contents: bytes, name: str = "images") -> str:
        (tmp_path / name).write_bytes(contents)
        return name

    return _write


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2), (1, 1, 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, in_members])
def test_what_was_written_is_read(write, shape, pack):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = write(pack(idx(array)))
    np.testing.assert_array_equal(read_idx(path), array, strict=True)
    assert idx_shape(path) == shape


def test_hand_written_bytes(write):
    path = write(bytes.fromhex("00000802 00000002 00000003 010203 0405ff"))
    assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 255]]


def test_a_digest_is_of_the_contents_not_of_the_wrapper(write):
    plain, packed = write(PLAIN, "plain"), write(PACKED, "packed")
    assert idx_digest(plain) == idx_digest(packed) == hashlib.sha256(PLAIN).hexdigest()
    assert file_digest(packed) == hashlib.sha256(PACKED).hexdigest()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "images: is empty"),
        (b"\0\0", "images: is not an IDX file; it begins with 0x0000"),
        (b"GIF89a", "images: is not an IDX file; it begins with 0x47494638"),
        (
            bytes([0, 0, 13, 1]),
            "images: holds IDX type 0x0d on 1 axes; unsigned bytes (0x08) on 1 to 3 axes are read",
        ),
        (
            bytes([0, 0, 8, 4]),
            "images: holds IDX type 0x08 on 4 axes; unsigned bytes (0x08) on 1 to 3 axes are read",
        ),
        (PLAIN[:10], "images: ends within its header"),
        (idx(np.zeros((0, 28), np.uint8)), "images: holds no examples (shape 0 × 28)"),
        (PLAIN[:-1], "images: declares 4 × 3 × 2, 40 bytes in all, and has 39"),
        (PLAIN + b"!", "images: declares 4 × 3 × 2, 40 bytes in all, and has more"),
        (gzip.compress(PLAIN[:-1], mtime=0), "images: declares 4 × 3 × 2, 40 bytes in all, and has 39"),
        (gzip.compress(PLAIN + b"!", mtime=0), "images: declares 4 × 3 × 2, 40 bytes in all, and has more"),
        (PACKED[:-9], "images: cannot be read as IDX: the packed data is cut short"),
        (
            struct.pack(">BBBBII", 0, 0, 8, 2, 2**32 - 1, 2**32 - 1),
            "images: declares 4,294,967,295 × 4,294,967,295 numbers; at most 67,108,864 are read",
        ),
    ],
)
def test_what_is_wrong_is_said(write, contents, message):
    path = write(contents)
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert str(error.value) == message


@pytest.mark.parametrize("whole", [PLAIN, PACKED])
def test_a_file_cut_anywhere_is_refused(write, whole):
    for length in range(len(whole)):
        path = write(whole[:length])
        assert is_refused(lambda path=path: read_idx(path), DataError), length


def test_a_packed_file_with_any_bit_turned_is_refused_or_reads_the_same(write):
    for bit in range(8 * len(PACKED)):
        broken = bytearray(PACKED)
        broken[bit // 8] ^= 1 << bit % 8
        path = write(bytes(broken))
        if not is_refused(lambda path=path: read_idx(path), DataError):
            np.testing.assert_array_equal(read_idx(path), IMAGES)  # the wrapper's date or system was hit


def test_a_bomb_is_not_unpacked(write):
    declares_little = gzip.compress(idx(IMAGES) + bytes(100 * 2**20))
    path = write(declares_little)
    with memory_below(5 * 2**20), pytest.raises(DataError, match="and has more"):
        read_idx(path)


def test_memory_follows_what_is_held_not_what_is_declared(write):
    path = write(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 2**26) + bytes(1000)))
    with memory_below(5 * 2**20), pytest.raises(DataError, match="has 1,008"):
        read_idx(path)


def test_many_empty_wrappers_are_not_searched_for_contents(write):
    path = write(gzip.compress(b"", mtime=0) * 20_000)
    with pytest.raises(DataError, match="is not an IDX file"):
        read_idx(path)


def test_missing_file():
    with pytest.raises(DataError) as error:
        check_file("no/such/file")
    assert str(error.value) == "no/such/file: no such file"


def test_folder_and_pipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for path, message in {".": ".: is a folder, not a file", "pipe": "pipe: is not a regular file"}.items():
        with pytest.raises(DataError) as error:
            read_idx(path)
        assert str(error.value) == message


def test_no_permission(write, monkeypatch):
    path = write(PLAIN)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("builtins.open", refuse)  # chmod would not stop a test that runs as root
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert str(error.value) == "images: cannot be read as IDX: Permission denied"


def test_huge_file(write, monkeypatch):
    monkeypatch.setattr(readers, "LARGEST_FILE", 39)
    path = write(PLAIN)
    with pytest.raises(DataError, match="images: has 40 bytes; at most 39 are read"):
        read_idx(path)


@pytest.mark.parametrize("path", ["a\0b", "a\nb\x1b[31m", "é\udcff", "x" * 5000, ""])
def test_odd_paths_are_refused_in_one_printable_line(path):
    assert is_refused(lambda: read_idx(path), DataError)


def test_a_home_folder_is_understood(write, tmp_path, monkeypatch):
    write(PLAIN)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert idx_shape("~/images") == (4, 3, 2)


def test_bytes_are_taken_as_they_come():
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 7))

    assert readers.read_at_most(Trickle(PLAIN), 20) == PLAIN[:20]
    assert readers.read_at_most(Trickle(PLAIN), 99) == PLAIN


@FUZZ
@given(contents=damaged(PLAIN, PACKED, idx(np.arange(9, dtype=np.uint8)), gzip.compress(PLAIN, mtime=0) * 2))
def test_fuzz_idx(write, contents):
    path = write(contents)
    if not is_refused(lambda: read_idx(path), DataError):
        assert read_idx(path).shape == idx_shape(path)

"""NPZ files: arrays of any kind of number, never unpickled, and no more unpacked than is read."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from flowers import X, assert_flowers, message, npz, read_table
from hostile import FUZZ, damaged, is_refused, memory_below
from hypothesis import given

from experiments.datasets.readers import DataError


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "f4", "f2", "i1", "u8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_of_any_kind_of_number(write, save, dtype, order):
    x = np.array([[0, 1, 1], [1, 0, 0]], dtype, order=order)
    read, y = read_table(write("a.npz", npz(save, x=x, y=np.array([5, 3]), other=np.array("text"))))
    np.testing.assert_array_equal(read, x.astype(float), strict=True)
    assert y.tolist() == [1, 0]


def test_npz_images_become_rows(write):
    x = np.arange(24.0).reshape(2, 3, 4)
    assert read_table(write("a.npz", npz(x=x, y=[0, 1])))[0].tolist() == x.reshape(2, 12).tolist()


def test_npz_by_other_names(write):
    path = write("a.npz", npz(pixels=np.array(X), kind=np.array([1, 1, 7])))
    assert_flowers(read_table(path, "kind"))
    said = "a.npz: needs the inputs in an array 'x' and the labels in 'y', or say target=; it has "
    assert message(path) == f"{said}'pixels', 'kind'"


def with_member(**entry) -> bytes:
    """An NPZ whose x is what the entry says and whose y is good."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", entry.get("packing", zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr("x.npy", entry["x"])
        labels = io.BytesIO()
        np.save(labels, np.array([0, 1]))
        archive.writestr("y.npy", labels.getvalue())
    return stream.getvalue()


def header(text: str) -> bytes:
    """The beginning of an .npy file with a header of this text."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9)}"
SMALL_ARRAY = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}"
LARGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (60000000, 1)}"


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"PK", "a.npz: is not an NPZ (a ZIP of arrays), or is cut short"),
        (npz(x=np.array(X), y=[0, 1, 1])[:-30], "a.npz: is not an NPZ (a ZIP of arrays), or is cut short"),
        (
            npz(y=[0, 1]),
            "a.npz: needs the inputs in an array 'x' and the labels in 'y', or say target=; it has 'y'",
        ),
        (npz(x=X, y=[0, 1]), "a.npz: inputs (3, 2), labels (2,); (n, d) and (n,) are needed"),
        (npz(x=[1, 2], y=[0, 1]), "a.npz: inputs (2,), labels (2,); (n, d) and (n,) are needed"),
        (npz(x=np.zeros((0, 2)), y=[]), "a.npz: x: holds no examples (shape 0 × 2)"),
        (npz(x=3.0, y=[0, 1]), "a.npz: x: holds no examples (shape ())"),
        (npz(x=[[1.0], [np.inf]], y=[0, 1]), "a.npz: x[1, 0]: inf is not a finite number"),
        (npz(x=[[1.0], [2.0]], y=[0, np.nan]), "a.npz: y[1]: the label nan is not a finite number"),
        (npz(x=[["a"], ["b"]], y=[0, 1]), "a.npz: x: holds <U1, not numbers"),
        (npz(x=[[1j], [2j]], y=[0, 1]), "a.npz: x: holds complex128, not numbers"),
        (
            with_member(x=header(HUGE)),
            "a.npz: x: declares 1,000,000,000,000 × 9 numbers; at most 67,108,864 are read",
        ),
        (
            with_member(x=header(LARGE)),
            "a.npz: x: declares 60,000,000 × 1 float64, 480,000,000 bytes, and has 0",
        ),
        (
            with_member(x=header(HUGE.replace("10", "-10"))),
            "a.npz: x: holds no examples (shape -1,000,000,000,000 × 9)",
        ),
        (
            with_member(x=b"text"),
            "a.npz: cannot be read as NPZ: EOF: reading magic string, expected 8 bytes got 4",
        ),
        (with_member(x=header("os.system('echo')")), None),
        (with_member(x=header("(" * 5000)), None),
        (
            with_member(x=b"", packing=zipfile.ZIP_LZMA),
            "a.npz: x: packed by method 14, which numpy does not write",
        ),
    ],
)
def test_npz_what_is_wrong_is_said(write, contents, said):
    heard = message(write("a.npz", contents))
    assert heard.isprintable()
    assert said is None or heard == said


class Trap:
    """Leaves a folder behind if it is ever unpickled."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_npz_is_never_unpickled(write):
    stored = np.empty((2, 1), object)
    stored[0, 0] = Trap()
    path = write("a.npz", npz(x=stored, y=[0, 1]))
    assert message(path) == "a.npz: x: holds object, not numbers"
    assert not os.path.exists("sprung")
    with np.load(path, allow_pickle=True) as arrays:
        arrays["x"]
    assert os.path.exists("sprung")  # it would have


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), "a.npz: x: is not an array of plain numbers"),
        (header(SMALL_ARRAY), "a.npz: x: declares 2 × 1 float64, 16 bytes, and has 52,428,800"),
    ],
)
def test_npz_bombs_are_not_unpacked(write, start, said):
    path = write("a.npz", with_member(x=start + b" " * (50 * 2**20)))
    with memory_below(5 * 2**20):
        assert message(path) == said


def test_npz_whose_table_of_contents_promises_too_much_is_refused(write):
    contents = bytearray(with_member(x=header(LARGE)))
    held, promised = len(header(LARGE)), len(header(LARGE)) + 480_000_000
    entry = contents.index(b"PK\1\2")
    assert struct.unpack_from("<I", contents, entry + 24) == (held,)
    struct.pack_into("<I", contents, entry + 24, promised)
    assert message(write("a.npz", bytes(contents))).startswith("a.npz: cannot be read as NPZ: ")


def test_npz_with_a_table_of_contents_beyond_measure(write):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i}.npy", b"")
    assert message(write("a.npz", stream.getvalue())) == "a.npz: lists too many arrays"


def npy(array: np.ndarray) -> bytes:
    """The bytes of one array as numpy writes it."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@FUZZ
@given(
    member=damaged(
        npy(np.eye(2)), npy(np.asfortranarray(np.eye(2, 3, dtype=">f4"))), header(HUGE), header(LARGE)
    )
)
def test_fuzz_arrays_within_a_sound_npz(write, member):
    """The ZIP's checksum would hide most damage to an array; here it is right."""
    path = write("a.npz", with_member(x=member))
    if not is_refused(lambda: read_table(path), DataError):
        assert not np.isinf(read_table(path)[0]).any()

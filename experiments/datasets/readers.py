"""Opening files that somebody else wrote, within limits, and the IDX format of MNIST and its kin.

A data file is not trusted. Nothing in it is evaluated or unpickled, what it declares is checked against a
limit before memory is taken and against what it holds afterwards, and whatever is wrong with it comes out
as one DataError that names the file and the place.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray

LARGEST_FILE = 512 * 2**20  # bytes; MNIST as a CSV, a large one of its kind, has 110 MB
LARGEST_ARRAY = 2**26  # numbers, 0.5 GB as float64; Fashion-MNIST with its test images has 55 million
CHUNK = 2**20  # bytes; memory grows with what a file holds, not with what it declares
GZIP = b"\x1f\x8b"
UNSIGNED_BYTE = 8  # IDX's number for the type


class DataError(ValueError):
    """Data that is missing, broken or unfit; the message says what and where, or how to get it."""


# Opening --------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Make a path or name that a user or a file gave fit for one line of a terminal."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 300 else f"{text[:300]}…"


def check_file(path: str) -> os.stat_result:
    """Check that a file is regular, not empty and not too large; return its facts. Errors: DataError."""
    with reading(path, "data"):
        facts = os.stat(os.path.expanduser(path))
    if stat.S_ISDIR(facts.st_mode):
        raise DataError(f"{shown(path)}: is a folder, not a file")
    if not stat.S_ISREG(facts.st_mode):
        raise DataError(f"{shown(path)}: is not a regular file")
    if not facts.st_size:
        raise DataError(f"{shown(path)}: is empty")
    if facts.st_size > LARGEST_FILE:
        raise DataError(f"{shown(path)}: has {facts.st_size:,} bytes; at most {LARGEST_FILE:,} are read")
    return facts


def check_shape(shape: Sequence[int], path: str) -> None:
    """Check that an array of this shape holds something and fits in memory; errors: DataError."""
    if not shape or min(shape) < 1:
        raise DataError(f"{shown(path)}: holds no examples (shape {times(shape) or '()'})")
    if math.prod(shape) > LARGEST_ARRAY:
        raise DataError(f"{shown(path)}: declares {times(shape)} numbers; at most {LARGEST_ARRAY:,} are read")


@contextmanager
def opened(path: str, kind: str) -> Iterator[IO[bytes]]:
    """Open a file to read its bytes; every failure inside the block becomes a DataError."""
    check_file(path)
    with reading(path, kind), open(os.path.expanduser(path), "rb") as stream:
        yield stream


@contextmanager
def reading(path: str, kind: str) -> Iterator[None]:
    """Turn any error that a parser raises into one DataError, and silence its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is found by the checks
            yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{shown(path)}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: is not text in UTF-8 (byte {error.start:,})") from None
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{shown(path)}: cannot be read as {kind}: {shown(str(reason))}") from None


def read_at_most(stream: IO[bytes] | gzip.GzipFile, most: int) -> bytearray:
    """Read the next `most` bytes, or fewer if the stream ends, in chunks of whatever size it delivers."""
    taken = bytearray()
    while len(taken) < most and (part := stream.read(min(CHUNK, most - len(taken)))):
        taken += part
    return taken


def times(shape: Sequence[int]) -> str:
    """Write a shape as text: ``60,000 × 28 × 28``."""
    return " × ".join(f"{size:,}" for size in shape)


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    total = hashlib.sha256()
    with opened(path, "data") as stream:
        while part := stream.read(CHUNK):
            total.update(part)
    return total.hexdigest()


# IDX ------------------------------------------------------------------------------------------------------


def read_idx(path: str) -> NDArray[np.uint8]:
    """Read the unsigned bytes of an IDX file, packed by gzip or plain, in the shape that it declares.

    The format is that of LeCun, Cortes & Burges' MNIST page: two zeros, a type, a number of axes, the size
    of each as four bytes, the highest first, then the numbers with the last axis running fastest.
    """
    contents, shape = _idx(path)
    return np.frombuffer(contents, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def idx_shape(path: str) -> tuple[int, ...]:
    """Return the shape that an IDX file declares; only its first bytes are read."""
    with opened(path, "IDX") as stream:
        return _shape(_contents(stream, 16), path)


def idx_digest(path: str) -> str:
    """Return the SHA-256 of an IDX file's contents, unpacked because mirrors pack them differently."""
    return hashlib.sha256(_idx(path)[0]).hexdigest()


def _idx(path: str) -> tuple[bytearray, tuple[int, ...]]:
    """The whole contents of an IDX file, header included, and its shape."""
    with opened(path, "IDX") as stream:
        shape = _shape(_contents(stream, 16), path)
        declared = 4 + 4 * len(shape) + math.prod(shape)
        contents = _contents(stream, declared + 1)
    if len(contents) != declared:
        held = f"has {len(contents):,}" if len(contents) < declared else "has more"
        raise DataError(f"{shown(path)}: declares {times(shape)}, {declared:,} bytes in all, and {held}")
    return contents, shape


def _contents(stream: IO[bytes], most: int) -> bytearray:
    """Return the first `most` bytes of a stream's contents, unpacked if they are packed."""
    stream.seek(0)
    if stream.read(2) != GZIP:
        stream.seek(0)
        return read_at_most(stream, most)
    stream.seek(0)
    try:
        with gzip.GzipFile(fileobj=stream) as unpacked:  # of one member or several; checksums are checked
            return read_at_most(unpacked, most)
    except EOFError:
        raise EOFError("the packed data is cut short") from None


def _shape(header: bytearray, path: str) -> tuple[int, ...]:
    if len(header) < 4 or header[:2] != b"\0\0":
        raise DataError(f"{shown(path)}: is not an IDX file; it begins with 0x{header[:4].hex()}")
    kind, axes = header[2], header[3]
    if kind != UNSIGNED_BYTE or not 1 <= axes <= 3:
        raise DataError(
            f"{shown(path)}: holds IDX type 0x{kind:02x} on {axes} axes; "
            "unsigned bytes (0x08) on 1 to 3 axes are read"
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{shown(path)}: ends within its header")
    shape = tuple(int.from_bytes(header[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    check_shape(shape, path)
    return shape

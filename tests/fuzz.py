"""Coverage-guided fuzzing of every door that a stranger's bytes come through (extra `fuzz`).

    python tests/fuzz.py config -runs=20000
    python tests/fuzz.py npz -runs=20000 -max_total_time=60

An input may be read, or refused in printable lines. Anything else ends the run with a traceback and leaves
the input in a file: another error, more than TIMEOUT seconds, more than MEMORY. Options after the target's
name are libFuzzer's. It starts from the small valid files below, so that there is something to damage.
"""

from __future__ import annotations

import atexit
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TIMEOUT = 10  # seconds for one input
MEMORY = 700  # MB of the process, whose imports take 150
_SPACE = tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
atexit.register(_SPACE.cleanup)
INHERITED = "FUZZ_FOLDER"  # libFuzzer ends its process without Python's leave: a parent tidies up after it
FOLDER = Path(os.environ.get(INHERITED, _SPACE.name))

HOUSE = b"""question: q
base: {dataset: digits, width: 8, activation: leaky_relu(slope=0.1), lr: 1e-3, schedule: shock(at=3)}
sweep: {depth: [1, 2], seed: [0, 1]}
zip: {init: [he_normal, xavier_normal], dtype: [float32, float64]}
probes: [delta_norm, saturated_fraction(below=0.05)]
figures: []
"""
CALL = b"leaky_relu(slope=0.1, name='a', many=[1, 2.5, null, f(x=1e-3)])"
IDX = bytes.fromhex("00000802 00000002 00000003 010203 0405ff")
CSV = b"width;height;kind\n1;2.5;0\n-3;4e2;1\n5;6;1\n"


def npy(kind: str = "<f8") -> bytes:
    """A table of two rows as numpy writes it."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.array([[1, 2], [3, 4]], kind))
    return stream.getvalue()


def npz(member: bytes) -> bytes:
    """An archive with sound checksums, whatever is in its first array."""
    import zipfile

    import numpy as np

    labels, archive = io.BytesIO(), io.BytesIO()
    np.save(labels, np.array([0, 1]))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", member)
        file.writestr("y.npy", labels.getvalue())
    return archive.getvalue()


def written(data: bytes, name: str) -> str:
    """A file with this in it."""
    path = FOLDER / name
    path.write_bytes(data)
    return str(path)


def config(data: bytes) -> None:
    from experiments.config import load

    load(written(data, "fuzzed.yaml"))


def call(data: bytes) -> None:
    from mlp.registry import parse_call

    parse_call(data.decode(errors="surrogateescape"))


def bind(data: bytes) -> None:
    from mlp.schedules import SCHEDULES

    SCHEDULES.bind(data.decode(errors="surrogateescape"))


def packed(data: bytes) -> bytes:
    """A sound gzip wrapper, whatever is in it."""
    import gzip

    return gzip.compress(data, mtime=0)


def idx(data: bytes) -> None:
    from experiments.datasets.readers import read_idx

    read_idx(written(data, "fuzzed.idx"))


def table(suffix: str, wrap: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        from experiments.datasets.tables import read_table

        read_table(written(wrap(data), f"fuzzed.{suffix}"))

    return attempt


def stretched(data: bytes) -> bytes:
    """The same with a cell, a name or a comment longer than any cell is, for each of the first few ~."""
    return data.replace(b"~", b"7" * 140_000, 3)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "config": config,
    "call": call,
    "bind": bind,  # the same, and options checked against a signature
    "idx": idx,
    "gzip": lambda data: idx(packed(data)),
    "csv": table("csv"),
    "long": table("csv", stretched),
    "npz": table("npz"),
    "npy": table("npz", npz),  # an array within a sound archive
}


def seeds(name: str) -> list[bytes]:
    """Valid inputs of a target."""
    return {
        "config": lambda: [HOUSE],
        "call": lambda: [CALL],
        "bind": lambda: [b"shock(at=3)", b"constant"],
        "idx": lambda: [IDX, packed(IDX)],
        "gzip": lambda: [IDX],
        "csv": lambda: [CSV, b"1,0\n2,1\n", b'"a","b"\n1,0\n2,1\n'],
        "long": lambda: [CSV, b"#~\na,b\n5,0\n7,1\n", b"# ~, ~\n5.5,0\n7,1\n"],
        "npz": lambda: [npz(npy()), npz(npy(">f4"))],
        "npy": lambda: [npy(), npy(">f4"), npy("<i8")],
    }[name]()


def refusals() -> tuple[type[Exception], ...]:
    from experiments.config import ConfigError
    from experiments.datasets import DataError
    from mlp.registry import RegistryError

    return ConfigError, DataError, RegistryError


def judged(attempt: Callable[[bytes], None], data: bytes) -> None:
    """An input that is read or refused is no finding."""
    try:
        attempt(data)
    except refusals() as refusal:
        lines = str(refusal).splitlines()
        assert lines, "refused without a word"
        assert all(line.isprintable() for line in lines), lines


def main(name: str, options: list[str]) -> None:
    import atheris

    attempt = TARGETS[name]
    with atheris.instrument_imports(include=["experiments", "mlp", "zipfile", "gzip", "numpy.lib"]):
        refusals()
        for seed in seeds(name):  # whatever is imported on the way is watched
            attempt(seed)
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / str(number)).write_bytes(seed)
    os.environ.pop("VG_DATA", None)
    limits = [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}", "-max_len=600"]
    atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], lambda data: judged(attempt, data))
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
    if INHERITED in os.environ:
        _SPACE.cleanup()
        main(sys.argv[1], sys.argv[2:])
    else:
        given = os.environ | {INHERITED: str(FOLDER)}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=given, check=False).returncode)

"""Fashion-MNIST and MNIST: where their files lie, and how they are fetched when the user says so.

The files are looked for in the folder that the environment variable VG_DATA names and in the user's cache.
They are fetched from their publisher only if VG_DOWNLOAD=1 is set, and kept only if their contents are the
published ones.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.readers import DataError, idx_digest, idx_shape, read_idx, shown

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASSES = 10
TRAIN, TEST = 60_000, 10_000  # images, in both sets


@dataclass(frozen=True)
class Publication:
    """Where a set is published, and the SHA-256 of the contents (not of the gzip wrapper) of its FILES."""

    url: str
    folders: tuple[str, ...]
    sha256: tuple[str, ...]


PUBLISHED = {
    "fashion_mnist": Publication(  # Xiao, Rasul & Vollgraf 2017; sums taken from the files
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "FashionMNIST"),
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "mnist": Publication(  # LeCun, Cortes & Burges 1998; the sums of the two train files as others state them
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ("mnist", "mnist-t10k", "mnist_t10k", "MNIST/raw", "MNIST"),
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
}


class Pair(NamedTuple):
    """The paths of a file of images and of its labels."""

    images: str
    labels: str

    @property
    def there(self) -> bool:
        """Whether both files exist."""
        return os.path.isfile(self.images) and os.path.isfile(self.labels)


# Finding --------------------------------------------------------------------------------------------------


def locate(name: str) -> tuple[Pair, ...]:
    """The training and the test pair of a set, or the test pair alone where there is no other.

    With VG_DOWNLOAD set, a set that is not there whole is located where `fetch` will put it. Opens nothing.
    """
    found = [_pairs(folder) for folder in _folders(name)]
    whole = [pairs for pairs in found if all(pair.there for pair in pairs)]
    if whole:
        return whole[0]
    if _may_download():
        return _pairs(cache_folder() / name)
    halves = [pairs[1:] for pairs in found if pairs[1].there]
    if halves:
        return halves[0]
    raise DataError(_how_to_get(name))


def count(pair: Pair, otherwise: int) -> int:
    """Return how many images a pair declares, or `otherwise` if it has yet to be fetched."""
    return idx_shape(pair.images)[0] if pair.there else otherwise


def _folders(name: str) -> list[Path]:
    """Return the folders in which the set may lie, the likeliest first."""
    given = os.environ.get("VG_DATA")
    roots = [Path(os.path.expanduser(given))] if given else []
    roots.append(cache_folder())
    return [root / folder for root in roots for folder in (*PUBLISHED[name].folders, name, ".")]


def _pairs(folder: Path) -> tuple[Pair, Pair]:
    """Return the paths of a set's files in a folder: plain where they lie unpacked, else with .gz.

    Some mirrors write ``train-images.idx3-ubyte``, and some names are in capitals.
    """
    there = {name.lower(): name for name in os.listdir(folder)} if os.path.isdir(folder) else {}
    paths = []
    for file in FILES:
        forms = [f"{name}{end}" for end in ("", ".gz") for name in (file, file.replace("-idx", ".idx"))]
        found = next((there[form] for form in forms if form in there), f"{file}.gz")
        paths.append(str(folder / found))
    return Pair(*paths[:2]), Pair(*paths[2:])


def cache_folder() -> Path:
    """Return the folder in which this platform keeps files that can be fetched again."""
    home = Path(os.path.expanduser("~"))
    usual = {"darwin": home / "Library" / "Caches", "win32": os.environ.get("LOCALAPPDATA") or home}
    folder = os.environ.get("XDG_CACHE_HOME") or usual.get(sys.platform, home / ".cache")
    return Path(folder) / "vanishing-gradients"


def _may_download() -> bool:
    return os.environ.get("VG_DOWNLOAD", "").lower() in ("1", "true", "yes")


def _how_to_get(name: str) -> str:
    folder = os.environ.get("VG_DATA")
    where = f"VG_DATA ({shown(folder)})" if folder else "VG_DATA (not set)"
    return (
        f"{name}: {FILES[0]}.gz and its kin are neither in {where} nor in {shown(str(cache_folder()))}. "
        f"Put the four files of {PUBLISHED[name].url} into a folder {PUBLISHED[name].folders[0]} and set "
        "VG_DATA to the folder around it; or set VG_DOWNLOAD=1 and they are fetched once "
        "(needs pip install 'vanishing-gradients[download]')"
    )


# Fetching and reading -------------------------------------------------------------------------------------


def fetch(name: str, pairs: tuple[Pair, ...]) -> None:
    """Download those of the files named by `locate` that are missing; each is checked before it is kept."""
    if all(pair.there for pair in pairs):
        return
    paths = [path for pair in pairs for path in pair]
    for file, path, sha256 in zip(FILES, paths, PUBLISHED[name].sha256, strict=True):
        if not os.path.isfile(path):
            _download(f"{PUBLISHED[name].url}{file}.gz", path, sha256)


def _download(url: str, path: str, sha256: str) -> None:
    import tempfile

    try:
        import pooch
    except ImportError:
        message = "VG_DOWNLOAD needs pooch: pip install 'vanishing-gradients[download]'"
        raise DataError(message) from None
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as scratch:
            arrived = pooch.retrieve(url, known_hash=None, fname=os.path.basename(path), path=scratch)
            genuine = False
            with suppress(DataError):
                genuine = idx_digest(arrived) == sha256
            if not genuine:
                raise DataError(f"{url}: is not the published file, whose contents have the SHA-256 {sha256}")
            os.replace(arrived, path)  # at once, so that no other process sees half a file
    except OSError as error:
        raise DataError(f"{url}: could not be fetched into {shown(os.path.dirname(path))}: {error}") from None


def read_pair(name: str, pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a pair of files: images (n, pixels) of 0 to 255 and labels (n,) of 0 to 9."""
    images, labels = read_idx(pair.images), read_idx(pair.labels)
    if labels.ndim != 1 or images.ndim == 1 or len(images) != len(labels):
        raise DataError(
            f"{shown(pair.images)}: shape {images.shape} does not go with the labels' {labels.shape}"
        )
    if labels.max() >= CLASSES:
        raise DataError(f"{shown(pair.labels)}: holds the label {labels.max()}; 0 to {CLASSES - 1} are read")
    _check_not_another(name, pair)
    return images.reshape(len(images), -1), labels.astype(np.int64)


def _check_not_another(name: str, pair: Pair) -> None:
    """Refuse the files of another set, which have the same names and may lie in the same folder."""
    found = idx_digest(pair.labels)
    for other, publication in PUBLISHED.items():
        if other != name and found in publication.sha256:
            raise DataError(f"{shown(pair.labels)}: holds {other}, not {name}")


def fingerprint(name: str, pairs: tuple[Pair, ...]) -> str:
    """Return "" for the published set, and a hash of the contents for an edited set or a part of it."""
    found = tuple(idx_digest(path) for pair in pairs for path in pair)
    return "" if found == PUBLISHED[name].sha256 else "+".join(digest[:8] for digest in found)

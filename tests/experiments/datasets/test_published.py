"""Where the published images are found, that they are checked, and that nothing is fetched unasked."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from test_readers import idx

from experiments.datasets import published
from experiments.datasets.readers import DataError

CONTENTS = {  # ten images of 2 × 2 to train on, five to test
    "train-images-idx3-ubyte": idx(np.arange(40, dtype=np.uint8).reshape(10, 2, 2)),
    "train-labels-idx1-ubyte": idx(np.arange(10, dtype=np.uint8)),
    "t10k-images-idx3-ubyte": idx(np.arange(20, dtype=np.uint8).reshape(5, 2, 2)),
    "t10k-labels-idx1-ubyte": idx(np.array([3, 1, 4, 1, 5], np.uint8)),
}
ALONE = [name for name in CONTENTS if name.startswith("t10k")]
SUMS = tuple(hashlib.sha256(contents).hexdigest() for contents in CONTENTS.values())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Lay files into a folder below the one of VG_DATA; the cache is another, empty one."""
    monkeypatch.setenv("VG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VG_DOWNLOAD", raising=False)

    def _place(folder: str, names=tuple(CONTENTS), **others: bytes):
        there = tmp_path / folder
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            contents = others.get(name.split("-ubyte")[0].replace("-", "_"), CONTENTS[name])
            (there / f"{name}.gz").write_bytes(gzip.compress(contents, mtime=0))
        return there

    return _place


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """A publisher on this machine, and the log of what is asked of it."""
    site, asked = tmp_path / "site", []
    site.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    here = replace(published.PUBLISHED["mnist"], url=f"http://127.0.0.1:{server.server_port}/", sha256=SUMS)
    monkeypatch.setitem(published.PUBLISHED, "mnist", here)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield site, asked
    server.shutdown()
    server.server_close()


# Finding


@pytest.mark.parametrize(
    "folder", ["data/mnist", "data/mnist-t10k", "data", "cache/vanishing-gradients/mnist"]
)
def test_found_in_each_folder(place, folder):
    there = place(folder)
    pairs = published.locate("mnist")
    assert [path for pair in pairs for path in pair] == [str(there / f"{name}.gz") for name in CONTENTS]
    assert [published.count(pair, otherwise=-1) for pair in pairs] == [10, 5]


@pytest.mark.parametrize(
    ("folder", "spelled"),
    [("data/MNIST/raw", str), ("data/MNIST", str), ("data", lambda name: name.replace("-idx", ".idx")),
     ("data/mnist", str.upper)],
)  # fmt: skip
def test_found_in_the_layouts_of_torchvision_and_of_mirrors(place, folder, spelled):
    there = place(folder)
    for name in CONTENTS:
        (there / f"{name}.gz").rename(there / spelled(f"{name}.gz"))
    x, y = published.read_pair("mnist", published.locate("mnist")[1])
    assert (x.shape, y.tolist()) == ((5, 4), [3, 1, 4, 1, 5])


def test_an_unpacked_file_goes_before_a_packed_one(place):
    there = place("data/mnist")
    (there / "train-images-idx3-ubyte").write_bytes(CONTENTS["train-images-idx3-ubyte"])
    assert published.locate("mnist")[0].images == str(there / "train-images-idx3-ubyte")


def test_a_whole_set_goes_before_a_half(place):
    place("data/mnist-t10k", ALONE)
    half = published.locate("mnist")
    assert len(half) == 1
    there = place("cache/vanishing-gradients/mnist")
    assert len(published.locate("mnist")) == 2
    assert published.locate("mnist")[1].images.startswith(str(there))


def test_a_missing_set_says_how_to_get_it(place, monkeypatch, tmp_path):
    with pytest.raises(DataError) as error:
        published.locate("fashion_mnist")
    assert str(error.value) == (
        f"fashion_mnist: train-images-idx3-ubyte.gz and its kin are neither in VG_DATA ({tmp_path}/data) "
        f"nor in {tmp_path}/cache/vanishing-gradients. Put the four files of "
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/ into a folder fashion-mnist and set "
        "VG_DATA to the folder around it; or set VG_DOWNLOAD=1 and they are fetched once (needs pip install "
        "'vanishing-gradients[download]')"
    )
    monkeypatch.delenv("VG_DATA")
    with pytest.raises(DataError, match=r"neither in VG_DATA \(not set\) nor"):
        published.locate("fashion_mnist")


# Reading


def test_pixels_and_labels_come_together(place):
    place("data/mnist")
    x, y = published.read_pair("mnist", published.locate("mnist")[1])
    assert x.tolist() == np.arange(20).reshape(5, 4).tolist()
    assert (x.dtype, y.dtype, y.tolist()) == (np.uint8, np.int64, [3, 1, 4, 1, 5])


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (
            {"t10k_labels_idx1": idx(np.zeros(4, np.uint8))},
            "shape (5, 2, 2) does not go with the labels' (4,)",
        ),
        ({"t10k_labels_idx1": idx(np.zeros((5, 1), np.uint8))}, "does not go with the labels' (5, 1)"),
        ({"t10k_images_idx3": idx(np.zeros(5, np.uint8))}, "shape (5,) does not go with the labels' (5,)"),
        ({"t10k_labels_idx1": idx(np.full(5, 10, np.uint8))}, "holds the label 10; 0 to 9 are read"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused(place, others, said):
    place("data/mnist", **others)
    with pytest.raises(DataError) as error:
        published.read_pair("mnist", published.locate("mnist")[1])
    assert said in str(error.value)


def test_one_set_in_the_place_of_another_is_noticed(place, monkeypatch):
    fashion = replace(published.PUBLISHED["fashion_mnist"], sha256=SUMS)
    monkeypatch.setitem(published.PUBLISHED, "fashion_mnist", fashion)
    place("data")
    pairs = published.locate("mnist")
    with pytest.raises(DataError, match="holds fashion_mnist, not mnist"):
        published.read_pair("mnist", pairs[0])
    published.read_pair("fashion_mnist", pairs[0])


def test_the_fingerprint_tells_an_edited_set_and_a_half_from_the_published_one(place, monkeypatch):
    monkeypatch.setitem(published.PUBLISHED, "mnist", replace(published.PUBLISHED["mnist"], sha256=SUMS))
    place("data/mnist")
    whole = published.locate("mnist")
    assert published.fingerprint("mnist", whole) == ""
    assert published.fingerprint("mnist", whole[1:]) == f"{SUMS[2][:8]}+{SUMS[3][:8]}"
    place("data/mnist", t10k_labels_idx1=idx(np.array([3, 1, 4, 1, 6], np.uint8)))
    edited = published.fingerprint("mnist", whole)
    assert edited.startswith(f"{SUMS[0][:8]}+{SUMS[1][:8]}+{SUMS[2][:8]}+")
    assert not edited.endswith(SUMS[3][:8])


# Fetching


def test_nothing_is_fetched_unasked(place, publisher):
    place("site")
    with pytest.raises(DataError, match="VG_DOWNLOAD=1"):
        published.locate("mnist")
    assert publisher[1] == []


def test_what_is_fetched_is_checked_kept_and_not_fetched_again(place, publisher, monkeypatch, tmp_path):
    place("site")
    place("data/mnist", ALONE)  # half of it is not enough once the whole may be had
    monkeypatch.setenv("VG_DOWNLOAD", "1")
    pairs = published.locate("mnist")
    assert publisher[1] == []
    assert [published.count(pair, otherwise=-1) for pair in pairs] == [-1, -1]
    published.fetch("mnist", pairs)
    assert sorted(publisher[1]) == sorted(f"/{name}.gz" for name in CONTENTS)
    published.fetch("mnist", published.locate("mnist"))
    assert len(publisher[1]) == 4
    folder = tmp_path / "cache" / "vanishing-gradients" / "mnist"
    assert sorted(os.listdir(folder)) == sorted(f"{name}.gz" for name in CONTENTS)
    monkeypatch.delenv("VG_DOWNLOAD")
    assert published.fingerprint("mnist", published.locate("mnist")) == ""


@pytest.mark.parametrize(
    "served", [b"<html>moved</html>", gzip.compress(idx(np.zeros((10, 2, 2), np.uint8)), mtime=0)]
)
def test_what_is_not_the_published_file_is_not_kept(place, publisher, monkeypatch, tmp_path, served):
    (place("site") / "train-images-idx3-ubyte.gz").write_bytes(served)
    monkeypatch.setenv("VG_DOWNLOAD", "1")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: is not the published file, whose"):
        published.fetch("mnist", published.locate("mnist"))
    assert os.listdir(tmp_path / "cache" / "vanishing-gradients" / "mnist") == []


def test_a_publisher_that_lacks_the_file(publisher, place, monkeypatch):
    monkeypatch.setenv("VG_DOWNLOAD", "1")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: could not be fetched into .*404"):
        published.fetch("mnist", published.locate("mnist"))


def test_a_cache_that_cannot_be_written(publisher, place, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    monkeypatch.setenv("VG_DOWNLOAD", "1")
    with pytest.raises(DataError, match="could not be fetched into .*Not a directory"):
        published.fetch("mnist", published.locate("mnist"))


def test_without_pooch_the_way_to_get_it_is_said(publisher, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setenv("VG_DOWNLOAD", "1")
    with pytest.raises(
        DataError, match=r"VG_DOWNLOAD needs pooch: pip install 'vanishing-gradients\[download\]'"
    ):
        published.fetch("mnist", published.locate("mnist"))


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "/home/eve/.cache/vanishing-gradients"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/vanishing-gradients"),
        ("darwin", {}, "/home/eve/Library/Caches/vanishing-gradients"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/vanishing-gradients"),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch, platform, environment, folder):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/eve", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert str(published.cache_folder()) == folder

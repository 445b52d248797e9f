"""Data sets by name: what every one of them promises, and what each of them is."""

from __future__ import annotations

import hashlib
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from test_published import ALONE, CONTENTS, SUMS, place  # noqa: F401 - place is a fixture

from experiments.datasets import DATASETS, DataError, fingerprint, load, published, training_size
from experiments.datasets import catalogue as datasets
from mlp.registry import RegistryError

CSV = "length,width,kind\n" + "".join(f"{i},{i * i},{i % 3}\n" for i in range(30))
MADE = [name for name in DATASETS if name not in ("file", "mnist", "fashion_mnist")]  # these need no file


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Data of one test's folder is not another's."""
    datasets._load.cache_clear()
    datasets._fingerprint.cache_clear()


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The call-text of a small file of the user's in the working folder, and the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.csv").write_text(CSV)
    return "file(path='flowers.csv')", tmp_path / "flowers.csv"


def assert_sound(data: datasets.Dataset) -> None:
    for x, y in ((data.x, data.y), (data.x_test, data.y_test)):
        assert (x.dtype, y.dtype, x.ndim) == (np.float64, np.int64, 2)
        assert len(x) == len(y) > 0
        assert np.isfinite(x).all()
        assert 0 <= y.min() <= y.max() < data.classes
        assert not x.flags.writeable
        assert not y.flags.writeable
    assert data.x.shape[1] == data.x_test.shape[1]


# Every data set


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("scale", ["standard", "overall", "sphere", "unit", "range", "symmetric", "none"])
def test_every_data_set_is_sound_at_every_scale(name, scale):
    data = load(f"{name}(scale={scale}, test=0.25, shift=0.5)")
    assert_sound(data)
    assert training_size(data.name) == len(data.x)
    assert fingerprint(data.name) == ""
    counts = np.bincount(data.y, minlength=data.classes) / len(data.y)
    counts_test = np.bincount(data.y_test, minlength=data.classes) / len(data.y_test)
    np.testing.assert_allclose(counts, counts_test, atol=2 / len(data.y_test))  # within an example either way


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_what_it_is_and_shares_the_options(name):
    assert inspect.getdoc(DATASETS[name])
    options = DATASETS.options(name)
    assert {"test", "scale", "shift", "split_seed"} <= set(options)
    assert all(option.annotation is not option.empty for option in options.values())


@pytest.mark.parametrize("name", MADE)
def test_the_seed_settles_everything(name):
    data, other = load(name), load(f"{name}(split_seed=1)")
    datasets._load.cache_clear()
    again = load(name)
    assert again is not data
    assert again.x.tobytes() + again.y.tobytes() == data.x.tobytes() + data.y.tobytes()
    assert other.x.tobytes() != data.x.tobytes()


def test_two_spellings_are_one_data_set_and_one_copy():
    data = load("circles( noise = .1, n=200 )")
    assert data.name == "circles(n=200)"
    assert load("circles(n=200)") is data


def test_a_probe_set_may_be_cut_from_the_front():
    y = load("digits").y
    for m in (100, 500, 1000):
        shares = np.bincount(y[:m], minlength=10) / m
        np.testing.assert_allclose(shares, np.bincount(y) / len(y), atol=1.001 / m)  # within one example


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("digit", RegistryError, "unknown dataset 'digit'. Did you mean 'digits'? Known: "),
        (
            "digits(tset=0.1)",
            RegistryError,
            "dataset 'digits' has no option 'tset'; it takes test=0.2 (a number above 0 and below 1)",
        ),
        ("moons(n=0.5)", RegistryError, "dataset 'moons': option n is 0.5, which is not a whole number"),
        ("moons(scale=big)", RegistryError, "option scale is 'big', which is not one of standard, overall"),
        (
            "digits(test=1.5)",
            RegistryError,
            "test is 1.5, which is not a number above 0 and below 1. Did you",
        ),
        ("digits(test=0)", RegistryError, "test is 0, which is not a number above 0 and below 1"),
        ("digits(test=0.9999)", DataError, "test=0.9999: leaves 0 of 1,797 examples to train on"),
        ("moons(n=2)", RegistryError, "n is 2, which is not a whole number from 4 to 67108864"),
        ("spirals(n=10, classes=6)", DataError, "n=10: must be from 12 to 33,554,432"),
        ("blobs(classes=1)", RegistryError, "classes is 1, which is not a whole number from 2 to 1000"),
        ("blobs(features=70000, n=1000)", DataError, "n=1000: must be from 6 to 958"),
        ("circles(noise=-1)", RegistryError, "noise is -1, which is not a number from 0 to 1000000"),
        ("circles(factor=2)", RegistryError, "factor is 2, which is not a number from 0 to 1"),
        ("spirals(turns=-1)", RegistryError, "turns is -1, which is not a number from 0 to 100"),
        ("xor(split_seed=-1)", RegistryError, "split_seed is -1, which is not a whole number from 0 to 1"),
        ("file", DataError, "file: needs a path, as in file(path='measurements.csv', target='kind')"),
        ("file(path='no.csv')", DataError, "no.csv: no such file"),
        ("file(path='no.xls')", DataError, "no.xls: its name ends in none of .csv, .tsv, .txt, .data"),
        ("file(path=no.csv, test=2)", RegistryError, "test is 2, which is not a number above 0 and below 1"),
    ],
)
def test_what_is_wrong_is_said_at_the_door(text, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for act in (training_size, load, fingerprint):
        with pytest.raises(error) as refusal:
            act(text)
        assert said in str(refusal.value)


def test_a_table_that_may_not_be_meant_so_is_remarked_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(i, i * 7 % 10, (i * 37) % 101, i % 3) for i in range(60)]
    files = {
        "indexed.csv": (",a,b,y\n", rows, "column 0 (the first is 0) is left out: it counts the rows"),
        "counting.csv": ("row,a,y\n", [(i, a, c) for i, a, _, c in rows], "column 'row' counts the rows"),
        "twin.csv": (
            "a,b,y\n",
            [(a, c * 2.5, c) for _, a, _, c in rows],
            "column 'b' tells the label outright",
        ),
        "first.csv": (
            "",
            [(c, b, b + 7) for _, a, b, c in rows],
            "column 0 (the first is 0) is taken for the",
        ),
        "sound.csv": ("a,b,y\n", [row[1:] for row in rows], ""),
        "few.csv": ("a,b,y\n", [(1.5, 2, 0), (2.5, 1, 0), (3.5, 1, 1), (4.5, 1, 0), (9, 1, 0)], ""),
    }
    for name, (head, lines, said) in files.items():
        (tmp_path / name).write_text(head + "".join(",".join(map(str, line)) + "\n" for line in lines))
        notes = load(f"file(path={name}, test=0.2)").notes
        assert said in notes
        assert bool(said) == bool(notes)


def test_a_class_that_is_never_learnt_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{i * i % 11}.5,{i % 2}\n" for i in range(18)] + ["0.5,2\n"]
    (tmp_path / "rare.csv").write_text("a,y\n" + "".join(lines))
    assert load("file(path=rare.csv, test=0.6)").notes == "no training example is of class 2"
    assert load("file(path=rare.csv, test=0.3)").notes == ""


def test_the_door_opens_without_heavy_imports():
    """A config is checked within 0.3 s, so that nothing of pandas or scikit-learn may be imported for it."""
    code = """if True:
        import sys
        from experiments.datasets import load, training_size
        training_size("digits"), load("moons"), load("digits")
        print([name for name in ("pandas", "sklearn", "pyarrow", "scipy", "pooch") if name in sys.modules])
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


# Digits


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    data = load("digits(scale=none)")
    assert (len(data.x), len(data.x_test), data.classes) == (1437, 360, 10)
    theirs, ours = (
        np.column_stack([x, y])[np.lexsort(np.column_stack([x, y]).T)] for x, y in ((x, y), _all_of(data))
    )
    np.testing.assert_array_equal(ours, theirs)


def _all_of(data: datasets.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([data.x, data.x_test]), np.concatenate([data.y, data.y_test])


def test_digits_without_their_file_come_through_scikit_learn(monkeypatch):
    expected = datasets._read_digits()
    monkeypatch.setattr("pathlib.Path.is_file", lambda _path: False)
    for ours, theirs in zip(datasets._read_digits(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def test_digits_without_scikit_learn_say_so(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda _name: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        load("digits")


def test_digits_division_is_this_one():
    """The literal guards stored results: another division is another experiment."""
    data = load("digits")
    assert hashlib.sha256(data.y.tobytes() + data.y_test.tobytes()).hexdigest()[:12] == "c5c8a646460d"


def test_standard_digits_have_the_mean_square_that_the_documentation_states():
    data = load("digits")
    varying = np.count_nonzero(load("digits(scale=none)").x.std(axis=0))
    assert np.square(data.x).mean() == pytest.approx(varying / 64, rel=1e-12)
    assert np.square(load("digits(scale=overall)").x).mean() == pytest.approx(1, rel=1e-12)


# A user's file


def test_a_users_file(flowers):
    text, _ = flowers
    data = load(text)
    assert_sound(data)
    assert (len(data.x), len(data.x_test), data.classes, data.name) == (24, 6, 3, text)
    assert training_size(text) is None
    everything, kinds = _all_of(load("file(path='flowers.csv', scale=none)"))
    rows = sorted(zip(*everything.T.tolist(), kinds.tolist(), strict=True))
    assert rows == [(i, i * i, i % 3) for i in range(30)]


def _known_by(data: bytes) -> str:
    """The fingerprint of a file's bytes: with the number of the way in which files are read."""
    digest = hashlib.sha256(data).hexdigest()
    return hashlib.sha256(f"{datasets.READING} {digest}".encode()).hexdigest()[:16]


def test_a_users_file_is_known_by_its_bytes_and_read_again_when_they_change(flowers):
    text, path = flowers
    before, data = fingerprint(text), load(text)
    assert before == _known_by(CSV.encode())
    assert load(text) is data
    path.write_text(CSV + "31,5,1\n")
    assert fingerprint(text) == _known_by(path.read_bytes())
    assert len(load(text).x) == 24
    assert len(_all_of(load(text))[0]) == 31


def test_a_change_that_leaves_the_size_is_seen_by_its_time(flowers):
    text, path = flowers
    before, data = fingerprint(text), load(text)
    path.write_text(CSV.replace("29,841,2", "29,842,2"))
    os.utime(path, ns=(0, 1))
    assert fingerprint(text) != before
    assert load(text).x.tobytes() != data.x.tobytes()


def test_a_path_is_taken_from_the_working_folder(flowers, tmp_path, monkeypatch):
    text, path = flowers
    other = tmp_path / "other" / "flowers.csv"
    other.parent.mkdir()
    other.write_text(CSV.replace("29,841,2", "29,842,2"))
    for same in (path, other):
        os.utime(same, ns=(0, 1))
    here = load(text)
    monkeypatch.chdir(other.parent)
    assert load(text).x.tobytes() != here.x.tobytes()


def test_a_file_too_large_to_scale_is_named(flowers):
    text, path = flowers
    path.write_text(CSV + "1e308,1,1\n" * 6)
    with pytest.raises(DataError) as error:
        load(text)
    assert str(error.value) == f"{text}: the inputs are too large or too small to be scaled in float64"


# Published images


def test_a_published_set_keeps_its_division(place):  # noqa: F811
    place("data/mnist")
    data = load("mnist(scale=none)")
    assert_sound(data)
    assert (training_size("mnist"), data.classes, data.notes) == (10, 10, "")
    pixels = np.arange(40.0).reshape(10, 4)
    np.testing.assert_array_equal(data.x, pixels[data.y])  # image i has the label i
    assert sorted(data.y_test) == [1, 1, 3, 4, 5]
    orders = {tuple(load(f"mnist(split_seed={seed})").y) for seed in range(3)}
    assert len(orders | {tuple(range(10))}) == 4  # none as in the file, nor like another


def test_a_part_of_a_published_set(place):  # noqa: F811
    place("data/mnist")
    data = load("mnist(train=4, test=2)")
    assert (len(data.x), len(data.x_test), training_size("mnist(train=4, test=2)")) == (4, 2, 4)
    assert data.classes == 10
    whole = load("mnist(scale=none)")
    np.testing.assert_array_equal(load("mnist(train=4, scale=none)").x, whole.x[:4])


@pytest.mark.parametrize(
    ("text", "sizes"), [("mnist", (4, 1)), ("mnist(test=2)", (3, 2)), ("mnist(train=1)", (1, 1))]
)
def test_test_images_alone_are_divided_and_this_is_said(place, text, sizes):  # noqa: F811
    place("data/mnist", ALONE)
    data = load(text)
    assert (len(data.x), len(data.x_test)) == sizes
    assert training_size(text) == sizes[0]
    assert data.notes == "the training images were not found; the 5 test images are divided"
    assert data.name == text
    assert fingerprint(text) == f"{SUMS[2][:8]}+{SUMS[3][:8]}"
    images = _all_of(load(f"{text[:-1]}, scale=none)" if "(" in text else "mnist(scale=none)"))[0]
    assert len(np.unique(images, axis=0)) == sum(sizes)  # none on both sides


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (tuple(CONTENTS), "mnist(train=11)", "train=11: must be from 1 to 10"),
        (tuple(CONTENTS), "mnist(test=6)", "test=6: must be from 1 to 5"),
        (ALONE, "mnist(train=5)", "train=5: must be from 1 to 4"),
        (ALONE, "mnist(test=5)", "test=5: must be from 1 to 4"),
        ((), "mnist", "VG_DOWNLOAD=1"),
    ],
)
def test_more_images_than_there_are(place, names, text, said):  # noqa: F811
    place("data/mnist", names)
    with pytest.raises(DataError, match=said):
        training_size(text)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("fashion_mnist", (60_000, 10_000)), ("mnist", (8_000, 2_000))],
)
def test_the_real_images_or_how_to_get_them(name, sizes, tmp_path, monkeypatch):
    """The sets themselves where VG_DATA leads to them (of MNIST its test images), else the way there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VG_DOWNLOAD", raising=False)
    if not os.environ.get("VG_DATA"):
        with pytest.raises(DataError, match=f"{name}: .* set VG_DATA to the folder around it"):
            load(name)
        return
    pairs = published.locate(name)
    alone = len(pairs) == 1
    shapes = [(10_000, 784)] if alone else [(60_000, 784), (10_000, 784)]
    assert [published.read_pair(name, pair)[0].shape for pair in pairs] == shapes
    data = load(f"{name}(train=2000, test=1000)")
    assert (data.x.shape, data.x_test.shape, data.classes) == ((2000, 784), (1000, 784), 10)
    assert np.bincount(data.y).min() > 150
    assert training_size(name) in (sizes[0], 60_000)
    assert bool(data.notes) == alone
    assert (fingerprint(name) == "") != alone


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_either(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv"
    path.write_text("1,2,0\n3,4,1\n" * 20)
    read = datasets.read_table

    def read_slowly(name, target, drop):
        found = read(name, target, drop)
        path.write_text("1,2,0\n3,5,1,\n" * 20)
        return found

    monkeypatch.setattr(datasets, "read_table", read_slowly)
    with pytest.raises(DataError, match="was changed while it was read"):
        load(f"file(path={str(path)!r})")

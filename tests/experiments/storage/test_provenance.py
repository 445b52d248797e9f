"""A manifest's facts: those that numbers depend on, and none that name a machine or a path."""

import json
import os
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from experiments.storage import provenance
from experiments.storage.files import StoreError
from experiments.storage.store import Store


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit, of the same layout as this one."""
    for name in ("mlp/a.py", "experiments/b.py", "results/c.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1\n")
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout):
    facts = provenance.git(checkout)
    assert len(facts["commit"]) == 40
    assert (facts["dirty"], facts["diff"]) == (False, "")


def test_what_makes_the_code_dirty_changes_its_hash(checkout):
    seen = set()
    for name in ("mlp/a.py", "mlp/a.py", "experiments/new.py", "mlp/new.py"):
        (checkout / name).write_text(f"{len(seen) + 2}\n")
        facts = provenance.git(checkout)
        assert facts["dirty"]
        seen.add(facts["diff"])
    assert len(seen) == 4
    assert all(len(digest) == 12 for digest in seen)


def test_results_and_caches_do_not_make_the_code_dirty(checkout):
    (checkout / "results" / "c.csv").write_text("2\n")
    (checkout / "mlp" / "__pycache__").mkdir()
    (checkout / "mlp" / "__pycache__" / "a.pyc").write_text("2\n")
    assert not provenance.git(checkout)["dirty"]


def test_without_a_checkout_or_git_nothing_is_claimed(checkout, tmp_path_factory, monkeypatch):
    assert provenance.git(tmp_path_factory.mktemp("bare")) is None
    (checkout / "inside").mkdir()
    assert provenance.git(checkout / "inside") is None  # installed below some other repository
    monkeypatch.setenv("PATH", "")
    assert provenance.git(checkout) is None


def test_facts_name_what_numbers_depend_on_and_no_machine_or_path(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: pytest.fail("asked for the machine's name"))
    facts = provenance.facts()
    assert facts["versions"]["numpy"] == version("numpy")
    assert facts["blas"][0]["num_threads"] == 1  # as conftest has set it
    assert facts["machine"]["cores"] >= 1
    assert 0 < facts["machine"]["memory_gb"] < 1e5
    text = json.dumps(facts)
    for path in (str(Path.home()), os.getcwd()):
        assert json.dumps(path)[1:-1] not in text
    assert "filepath" not in text


def test_a_system_that_does_not_tell_is_no_error(monkeypatch):
    monkeypatch.setattr(provenance, "Path", lambda name: Path("/nowhere"))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError("unknown")))
    facts = provenance.machine()
    assert facts["memory_gb"] is None
    assert facts["cores"] == os.cpu_count()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "nothing is stored here. Run the experiment first"),
        ('{"runs": 3}', "it holds no config. Run the experiment again: finished runs are kept"),
        ('{"config": {"question": "?", "key_of_tomorrow": 1}}', "unknown key"),
        (
            '{"config": {"question": "?", "base": {"activation": "mine"}}}',
            "it uses parts of your own: then say --with FILE",
        ),
        ('{"config": 7}', "it holds no config"),
        ("[]", "it holds no config"),
        ('{"config": {"questi', "cut off or damaged: not a whole JSON file. Run the experiment again"),
        ("[" * 100_000, "cut off or damaged"),
        ("", "cut off or damaged"),
        ('{"schema": 99, "config": {"question": "?", "new_key": 1}}', "newer than this one .* version 99"),
        ('{"schema": 1, "config": {"question": "?", "old_key": 1}}', "older than this one .* version 1"),
    ],
)
def test_a_manifest_that_does_not_tell_its_experiment_says_why(text, said, tmp_path):
    store = Store("any", tmp_path)
    if text is not None:
        store.folder.mkdir()
        (store.folder / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=said):
        provenance.stored_experiment(store)
    if text is not None:
        with pytest.raises(StoreError, match=said.partition(". Run")[0]):
            provenance.manifest_experiment(store.folder)

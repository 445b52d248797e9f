"""Configs: what is read, which files are refused, and that no input gets past as anything else."""

import os
import pickle
import subprocess
import sys
import time
from dataclasses import MISSING, fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import HOUSE, messages, written

from experiments.config import ConfigError, Experiment, Recording, Run, from_mapping, load, to_mapping
from experiments.config.kinds import table
from experiments.config.vocabulary import keys_of
from experiments.config.yaml_strict import LARGEST, read
from mlp.probes import DEFAULT_PROBES

ROOT = Path(__file__).parents[3]

# -- what is read ----------------------------------------------------------------------------------------


def test_a_config_becomes_an_experiment(tmp_path):
    found = load(written(tmp_path, HOUSE))
    assert found == Experiment(
        name="x",
        question="Does it?",
        base=Run(dataset="digits", width=32, lr=0.01),
        sweep={"activation": ("sigmoid", "leaky_relu(slope=0.1)"), "depth": (2, 4), "seed": (0, 1, 2)},
        zip={},
        probes=("delta_norm", "dw_norm"),
        watch=8,
        trace="probe_set",
        probe_set=2048,
        figures=("gradient_by_layer",),
        claims=(),
        path=tmp_path / "x.yaml",
        text=HOUSE,
    )
    assert found.recording == Recording(("delta_norm", "dw_norm"), watch=8)
    assert found.size() == 12


def test_only_the_question_is_required(tmp_path):
    found = load(written(tmp_path, "question: Why?"))
    assert found.base == Run()
    assert found.probes == tuple(DEFAULT_PROBES)
    assert (found.watch, found.trace, found.probe_set) == (20, "probe_set", 2048)
    assert found.figures == ("gradient_by_layer",)
    assert found.size() == 1


def test_defaults_pass_their_own_checks():
    for owner in (Run, Experiment):
        for name, field in keys_of(owner).items():
            if field.default is not MISSING and name not in ("base", "probes"):
                assert field.metadata["kind"].read(field.default) == field.default, name


def test_a_recording_and_an_experiment_agree_on_defaults():
    defaults = {f.name: f.default for f in fields(Experiment)}
    assert all(f.default == defaults[f.name] for f in fields(Recording) if f.default is not MISSING)


def test_a_run_is_flat_hashable_and_frozen():
    assert len({Run(), Run(seed=1), Run(seed=1)}) == 2
    with pytest.raises(AttributeError):
        Run().depth = 3


def test_whole_numbers_become_floats_where_floats_are_kept(tmp_path):
    found = load(written(tmp_path, "question: q\nbase: {residual: 1, clip: 5}\nsweep: {lr: [0, 1]}"))
    assert [type(v) for v in (found.base.residual, found.base.clip, *found.sweep["lr"])] == [float] * 4


def test_minus_zero_is_zero(tmp_path):
    assert str(load(written(tmp_path, "question: q\nbase: {lr: -0.0}")).base.lr) == "0.0"


def test_two_spellings_of_a_name_are_one(tmp_path):
    names = "{activation: leaky_relu(slope=.10), optimiser: 'momentum( beta = 0.9 )', init: 'orthogonal()'}"
    base = load(written(tmp_path, f"question: q\nbase: {names}")).base
    assert (base.activation, base.optimiser, base.init) == ("leaky_relu(slope=0.1)", "momentum", "orthogonal")


def test_watched_steps_may_be_named(tmp_path):
    assert load(written(tmp_path, "question: q\nwatch: [100, 0, 5]")).watch == (0, 5, 100)


def test_a_question_over_lines_becomes_one_line(tmp_path):
    assert load(written(tmp_path, "question: >\n  Does it\n  or not?\n")).question == "Does it or not?"


def test_default_figures_are_those_that_the_probes_allow(tmp_path):
    assert load(written(tmp_path, "question: q\nprobes: [w_norm]")).figures == ()


def test_an_experiment_survives_a_mapping(tmp_path):
    found = load(written(tmp_path, HOUSE), ["clip=[null,1.0]", "watch=[0,3]"])
    again = from_mapping(to_mapping(found), name="x")
    assert again == replace(found, path=None, text="")


def test_python_values_are_taken_as_they_are():
    sweep = {"seed": range(3), "lr": np.array([0.1, 0.2]), "depth": (1, np.int64(2))}
    found = from_mapping({"question": "q", "sweep": sweep})
    assert found.sweep == {"seed": (0, 1, 2), "lr": (0.1, 0.2), "depth": (1, 2)}
    assert [type(depth) for depth in found.sweep["depth"]] == [int, int]


def test_messages_about_a_mapping_have_no_file():
    with pytest.raises(ConfigError, match=r"^base\.depht: unknown key\. Did you mean 'depth'\?$"):
        from_mapping({"question": "q", "base": {"depht": 3}})


def test_a_mapping_that_holds_itself_is_refused():
    circle: dict = {"question": "q"}
    circle["base"] = circle
    with pytest.raises(ConfigError, match="nested more than 10 deep"):
        from_mapping(circle)


# -- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.yaml: empty; configs/README.md lists the keys"),
        (b"# nothing yet\n", "x.yaml: empty; configs/README.md lists the keys"),
        (b"\x7fELF\0\0", "x.yaml: a binary file, not YAML text"),
        (b"\xff\xfeq\0", "x.yaml: a binary file, not YAML text"),
        (b"q: \xe9", "x.yaml:1:4: the byte 0xe9 is not UTF-8 text; save the file as UTF-8"),
        (b"a" * (LARGEST + 1), "x.yaml: more than 200,000 bytes; a config is a page of text"),
        (b"- a\n- b\n", "x.yaml:1:1: a list, not lines of key: value such as question: …"),
        (b"just text", "x.yaml:1:1: 'just text', not lines of key: value such as question: …"),
        (b"question: a\n---\nquestion: b", "x.yaml:2:1: a second document; a config is one"),
    ],
)
def test_a_file_that_is_no_config(tmp_path, content, message):
    assert messages(written(tmp_path, content)) == [message]


def test_a_huge_file_is_not_read(tmp_path):
    path = written(tmp_path, b"")
    os.truncate(path, 10**12)  # sparse: it takes no room, and no time unless it is read
    assert messages(path) == ["x.yaml: more than 200,000 bytes; a config is a page of text"]


def test_what_is_no_file(tmp_path):
    written(tmp_path, "question: q", "sigmoid.yaml")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")  # opened it would wait for ever
    assert messages(tmp_path / "folder.yaml") == ["folder.yaml: a folder, not a config file"]
    assert messages(tmp_path / "pipe.yaml") == ["pipe.yaml: a device, not a config file"]
    assert messages(tmp_path / "sigmiod.yaml") == ["sigmiod.yaml: no such file. Did you mean 'sigmoid.yaml'?"]
    assert messages(tmp_path / "sigmoid.yaml/x.yaml") == ["x.yaml: cannot be read: Not a directory"]
    assert messages("nul\0.yaml") == ["'nul\\x00.yaml': cannot be read: embedded null byte"]


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("experiments.config.reading.open", refuse, raising=False)  # root may read anything
    assert messages(written(tmp_path, HOUSE)) == ["x.yaml: cannot be read: Permission denied"]


@pytest.mark.parametrize("name", ["a b", "ä", "x;y", ".hidden", "x" * 101, "a\nb"])
def test_a_name_that_is_no_folder_of_results(tmp_path, name):
    found = messages(written(tmp_path, "question: q", f"{name}.yaml"))
    assert found[0].endswith(
        "cannot be a folder of results/; a name has up to 100 letters, digits, _, - and ., the first not ."
    )


@pytest.mark.parametrize("name", ["..", "", "../up", "/tmp/x", "a/b", "a\\b", ".", "\0", "x" * 1000])
def test_no_name_leads_out_of_results(name):
    with pytest.raises(ConfigError, match="cannot be a folder of results/"):
        from_mapping({"question": "q"}, name=name)


@pytest.mark.parametrize("name", ["README", "log", "bench", "write_up"])
def test_a_name_may_not_take_what_results_shares(tmp_path, name):
    assert messages(written(tmp_path, "question: q", f"{name}.yaml")) == [
        f"{name}.yaml: the name '{name}' is taken in results/; choose another"
    ]


def test_a_missing_data_set_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (message,) = messages(written(tmp_path, "question: q\nbase: {dataset: fashion_mnist}"))
    assert message.startswith("x.yaml:2:17: base.dataset: fashion_mnist: ")
    assert "VG_DATA" in message


# -- anything at all -------------------------------------------------------------------------------------


def checked(attempt):
    """An Experiment, or None for a ConfigError of printable messages; any other error goes through."""
    try:
        return attempt()
    except ConfigError as error:
        found = error.messages
    assert found
    assert all(message.isprintable() for message in found)
    return None


SETTINGS = settings(max_examples=int(os.environ.get("VG_FUZZ", "40")))  # VG_FUZZ=100000 asks for more
FIELDS, KEYS = list(keys_of(Run)), list(keys_of(Experiment))
WORDS = [*FIELDS, *KEYS, "relu", "leaky_relu(slope=", "0.1)", "shock(at=", "1e-3", "-1", ".nan"]
MARKS = [*"[]{}()=#\t\"'", ": ", "\n", "\n  ", "- ", ", ", "&a ", "*a", "!t ", "|\n"]
SNIPPETS = st.lists(st.sampled_from([*WORDS, *MARKS]) | st.text(max_size=5), max_size=40).map("".join)
SETTERS = st.builds("{}{}{}".format, st.sampled_from(WORDS), st.sampled_from(["=", "", "=["]), st.text())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=2),
    max_leaves=5,
)


@SETTINGS
@given(st.binary(max_size=300))
def test_any_bytes_are_an_experiment_or_a_config_error(tmp_path_factory, data):
    path = written(tmp_path_factory.getbasetemp(), data, "bytes.yaml")
    checked(lambda: load(path))


@SETTINGS
@given(SNIPPETS)
def test_any_text_of_our_words_is_an_experiment_or_a_config_error(tmp_path_factory, text):
    data = f"question: q\n{text}".encode(errors="surrogatepass")
    path = written(tmp_path_factory.getbasetemp(), data, "words.yaml")
    checked(lambda: load(path))


@SETTINGS
@given(st.lists(SETTERS, max_size=4))
def test_any_overrides_are_an_experiment_or_a_config_error(tmp_path_factory, overrides):
    path = written(tmp_path_factory.getbasetemp(), HOUSE, "house.yaml")
    checked(lambda: load(path, overrides))


@SETTINGS
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(FIELDS), st.lists(VALUES, max_size=3), max_size=3),
)
def test_any_mapping_is_an_experiment_or_a_config_error(top, base, sweep):
    mapping = {"question": "q"} | top | {"base": base, "sweep": sweep}
    found = checked(lambda: from_mapping(mapping))
    assert found is None or from_mapping(to_mapping(found)) == found


def test_a_hostile_file_costs_little(tmp_path):
    lines = "".join(f"  - leaky_relu(slope=0.{i:05d})\n" for i in range(1, 6000))
    began = time.process_time()
    assert load(written(tmp_path, f"question: q\nsweep:\n  activation:\n{lines}")).size() == 5999
    assert time.process_time() - began < 10  # 6,000 names checked in 1 s on an idle machine


# -- the error itself, and what it costs to get there ----------------------------------------------------


def test_a_config_error_crosses_processes():
    error = pickle.loads(pickle.dumps(ConfigError(["a", "b"])))
    assert (error.messages, str(error)) == (["a", "b"], "a\nb")


def test_a_config_error_needs_no_heavy_import(tmp_path):
    path = written(tmp_path, "question: q\nbase: {activation: rleu}\nprobes: [w]\nfigures: [f]\nclaims: [c]")
    code = f"""
import sys
from experiments.config import ConfigError, load
try:
    load({str(path)!r})
except ConfigError as error:
    assert len(error.messages) == 4, error
heavy = "pandas pyarrow matplotlib sklearn rich jinja2 distributed pydantic scipy"
print([name for name in heavy.split() if name in sys.modules])
"""
    python = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    found = subprocess.run([sys.executable, "-c", code], check=True, **python)
    assert found.stdout == "[]\n"


# -- the configs that come with the project --------------------------------------------------------------

CONFIGS = sorted(ROOT.glob("configs/**/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_the_project_is_read(path):
    found = checked(lambda: load(path))
    if found is None:  # in a clone without the images, that is all that may be wrong
        assert all("VG_DATA" in message for message in messages(path))
    else:
        assert found.question.endswith("?")


def test_the_names_of_configs_are_their_own():
    assert len({path.stem for path in CONFIGS}) == len(CONFIGS)


def test_the_depth_sweep_has_the_activations_of_the_project():
    """One that somebody adds need not be among them."""
    root, _ = read((ROOT / "configs/depth_sweep.yaml").read_bytes(), "depth_sweep.yaml")
    swept = {node.value.split("(")[0] for node in root.value["sweep"].value["activation"].value}
    assert len(swept) >= 16
    assert swept <= set(table("activation"))

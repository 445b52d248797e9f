"""What is said about a faulty config, word for word: the place, the key, the value, the likely intention."""

import pytest
from written import DIGITS_TO_TRAIN_ON as DIGITS
from written import messages, written

from experiments.config.kinds import TABLES, Name, table
from experiments.config.tree import MOST_FAULTS
from experiments.config.vocabulary import Experiment, Run, keys_of
from mlp.probes import PROBES

KNOWN_KEYS, KNOWN_PROBES = ", ".join(keys_of(Experiment)), ", ".join(sorted(PROBES))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        # Unknown keys, at every level.
        ("qestion: x", "x.yaml:2:1: qestion: unknown key. Did you mean 'question'?"),
        ("zzz: x", f"x.yaml:2:1: zzz: unknown key. Known: {KNOWN_KEYS}"),
        ("base: {widht: 3}", "x.yaml:2:8: base.widht: unknown key. Did you mean 'width'?"),
        ("sweep: {sed: [1]}", "x.yaml:2:9: sweep.sed: unknown key. Did you mean 'seed'?"),
        ("depth: 3", "x.yaml:2:1: depth: unknown key here; a field of a run stands under base or sweep"),
        ("base: {watch: 3}", "x.yaml:2:8: base.watch: unknown key here; it stands at the top level"),
        # Types and ranges.
        ("base: {depth: -1}", "x.yaml:2:15: base.depth: -1 is not a whole number from 0 to 10000"),
        ("base: {depth: 2.5}", "x.yaml:2:15: base.depth: 2.5 is not a whole number from 0 to 10000"),
        ("base: {depth: true}", "x.yaml:2:15: base.depth: true is not a whole number from 0 to 10000"),
        ("base: {depth: deep}", "x.yaml:2:15: base.depth: 'deep' is not a whole number from 0 to 10000"),
        ("base: {width: 1e3}",
         "x.yaml:2:15: base.width: 1000.0 is not a whole number from 1 to 65536. Did you mean 1000?"),
        ("base: {width: 1_000}",
         "x.yaml:2:15: base.width: '1_000' is not a whole number from 1 to 65536. Did you mean 1000?"),
        ("base: {width: 0}", "x.yaml:2:15: base.width: 0 is not a whole number from 1 to 65536"),
        ("base: {batch: 0}", "x.yaml:2:15: base.batch: 0 is not a whole number from 1 to 2147483647"),
        ("base: {seed: -1}",
         "x.yaml:2:14: base.seed: -1 is not a whole number from 0 to 9223372036854775807"),
        ("base: {lr: .nan}", "x.yaml:2:12: base.lr: nan is not a number from 0 to 1e+12"),
        ("base: {lr: .inf}", "x.yaml:2:12: base.lr: inf is not a number from 0 to 1e+12"),
        ("base: {lr: -1e-3}", "x.yaml:2:12: base.lr: -0.001 is not a number from 0 to 1e+12"),
        ("base: {lr: '0.1'}", "x.yaml:2:12: base.lr: '0.1' is not a number from 0 to 1e+12"),
        ("base: {lr: 1e999}", "x.yaml:2:12: base.lr: inf is not a number from 0 to 1e+12"),
        ("base: {clip: 0}", "x.yaml:2:14: base.clip: 0 is not a number above 0 and up to 1e+12, or null"),
        ("base: {residual: .nan}", "x.yaml:2:18: base.residual: nan is not a number from 0 to 1e+12"),
        ("base: {weight_decay: null}",
         "x.yaml:2:22: base.weight_decay: null is not a number from 0 to 1e+12"),
        ("base: {dtype: float46}",
         "x.yaml:2:15: base.dtype: 'float46' is not one of float32, float64. Did you mean 'float64'?"),
        ("base: {dtype: half}", "x.yaml:2:15: base.dtype: 'half' is not one of float32, float64"),
        ("trace: on", "x.yaml:2:8: trace: 'on' is not one of probe_set, batch"),
        ("watch: 1", "x.yaml:2:8: watch: 1 is not a whole number from 2 to 100000"),
        ("watch: [1, 1]", "x.yaml:2:8: watch: 1 is listed twice"),
        ("probe_set: 0", "x.yaml:2:12: probe_set: 0 is not a whole number from 1 to 1000000000"),
        # Names and their options.
        ("base: {activation: 3}", "x.yaml:2:20: base.activation: 3 is not the name of an activation"),
        ("base: {norm: null}", "x.yaml:2:14: base.norm: null is not the name of a normalisation"),
        ("sweep: {activation: [relu, leaky_relu(slop=0.1)]}",
         "x.yaml:2:28: sweep.activation[1]: activation 'leaky_relu' has no option 'slop'; it takes "
         "slope=0.01 (a number above 0 and up to 1). Did you mean 'slope'?"),
        ("base: {activation: leaky_relu(slope=2)}",
         "x.yaml:2:20: base.activation: activation 'leaky_relu': option slope is 2, which is not a number "
         "above 0 and up to 1. Did you mean 0.02?"),
        ("base: {init: normal(std=wide)}",
         "x.yaml:2:14: base.init: initialiser 'normal': option std is 'wide', which is not a number "
         "from 0 to 1000000"),
        ("base: {activation: os.system('x')}",
         "x.yaml:2:20: base.activation: \"os.system('x')\" is not of the form name or name(option=value, …)"),
        ("base: {optimiser: sgd(}",
         "x.yaml:2:19: base.optimiser: 'sgd(' is not of the form name or name(option=value, …); inside [ ] "
         "or { }, a text with a comma in it needs quotes"),
        # Lists.
        ("base: {depth: [1, 2]}",
         "x.yaml:2:15: base.depth: a list; to run each of its values, put depth under sweep"),
        ("sweep: {depth: 3}", "x.yaml:2:16: sweep.depth: 3, not a list; a single value stands under base"),
        ("sweep: {depth: []}", "x.yaml:2:16: sweep.depth: an empty list: there would be nothing to run"),
        ("sweep: {depth: [1, 2, 1]}",
         "x.yaml:2:23: sweep.depth[2]: 1 is listed twice, first as sweep.depth[0]"),
        ("sweep: {clip: [null, 1, ~]}",
         "x.yaml:2:25: sweep.clip[2]: null is listed twice, first as sweep.clip[0]"),
        ("sweep: {activation: [leaky_relu, leaky_relu(slope=0.01)]}",
         "x.yaml:2:34: sweep.activation[1]: 'leaky_relu' is listed twice, first as sweep.activation[0]"),
        ("zip: {depth: [1, 2], width: [1]}",
         "x.yaml:2:29: zip.width: 1 values where depth has 2; lists under zip go together"),
        ("zip: {depth: [1, 2, 1], width: [3, 3, 3]}",
         "x.yaml:2:21: zip, row [2]: the same values as in row [0]"),
        ("probes: [w_norm, w_norm]", "x.yaml:2:18: probes[1]: 'w_norm' is listed twice, first as probes[0]"),
        ("probes: w_norm", "x.yaml:2:9: probes: 'w_norm' is not a list, each the name of a probe"),
        ("claims:", "x.yaml:2:8: claims: null is not a list, each the name of a claim"),
        ("base:", "x.yaml:2:6: base: null, not lines of key: value"),
        ("sweep: [1]", "x.yaml:2:8: sweep: a list, not lines of key: value"),
        ("base: {depth: 1}\nsweep: {depth: [1]}",
         "x.yaml:3:9: sweep.depth: stands under base too; a key has one place"),
        ("sweep: {depth: [1]}\nzip: {depth: [1]}",
         "x.yaml:3:7: zip.depth: stands under sweep too; a key has one place"),
        # What does not fit together.
        ("base: {batch: 10000}",
         f"x.yaml:2:15: base.batch: 10000 examples a batch, but digits has {DIGITS} to train on"),
        ("sweep: {batch: [10, 2000]}",
         f"x.yaml:2:21: sweep.batch[1]: 2000 examples a batch, but digits has {DIGITS} to train on"),
        ("base: {dataset: digits(test=0.95)}",
         "x.yaml: base.batch (its default): 128 examples a batch, but digits(test=0.95) has 89 to train on"),
        ("probes: [w_norm, dw_norm]\nfigures: [learning_curves, gradient_by_layer]",
         "x.yaml:3:28: figures[1]: gradient_by_layer draws delta_norm: add that to the probes"),
        ("probes: [w_norm, w_nrm]",
         f"x.yaml:2:18: probes[1]: unknown probe 'w_nrm'. Did you mean 'w_norm'? Known: {KNOWN_PROBES}"),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_the_likely_intention(tmp_path, line, message):
    assert messages(written(tmp_path, f"question: q\n{line}\n")) == [message]


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_a_misspelt_name_of_any_table_is_named_with_what_there_is(tmp_path, kind):
    known = sorted(table(kind))
    of_run, of_all = (
        next((f for f, field in keys_of(owner).items() if field.metadata["kind"] == Name(kind)), None)
        for owner in (Run, Experiment)
    )
    line = f"base: {{{of_run}: zzz}}" if of_run else f"{of_all}: zzz" if of_all else f"{kind}s: [zzz]"
    (message,) = messages(written(tmp_path, f"question: q\n{line}"))
    assert message.endswith(f": unknown {table(kind).kind} 'zzz'. Known: {', '.join(known)}")


def test_all_faults_are_shown_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
base: {depth: -1, depth: 2, lr: x}
sweep:
  width: [8, 16.5]
watch: never
claims: &a []
"""
    assert messages(written(tmp_path, text), ["trace=x", "sede=1"]) == [
        "x.yaml:1:1: question: missing; what this experiment asks, in a sentence",
        "x.yaml:1:15: base.depth: -1 is not a whole number from 0 to 10000",
        "x.yaml:1:19: base.depth: given twice; first on line 1",
        "x.yaml:1:33: base.lr: 'x' is not a number from 0 to 1e+12",
        "x.yaml:3:14: sweep.width[1]: 16.5 is not a whole number from 1 to 65536",
        "x.yaml:4:8: watch: 'never' is not a whole number from 2 to 100000",
        "x.yaml:5:9: claims: the anchor '&a'; anchors are not read",
        "override sede=1: unknown key 'sede'. Did you mean 'seed'?",
        "override trace=x: trace: 'x' is not one of probe_set, batch",
    ]


def test_beyond_a_screenful_the_search_ends(tmp_path):
    found = messages(written(tmp_path, "question: q\nsweep: {depth: [" + "x, " * 50_000 + "x]}"))
    assert len(found) == MOST_FAULTS + 1
    assert found[-1] == "… and possibly more: the first 100 are shown"


def test_a_grid_of_millions_is_refused(tmp_path):
    sweep = f"{{seed: {list(range(1001))}, width: {list(range(1, 1001))}}}"
    assert messages(written(tmp_path, f"question: q\nsweep: {sweep}")) == [
        "x.yaml:2:8: sweep: 1001000 runs; at most 1000000 are planned"
    ]


def test_a_long_value_is_cut(tmp_path):
    (message,) = messages(written(tmp_path, f"question: q\nbase: {{lr: {'x' * 1000}}}"))
    assert message == f"x.yaml:2:12: base.lr: '{'x' * 56}… is not a number from 0 to 1e+12"

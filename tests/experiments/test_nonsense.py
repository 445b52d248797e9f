"""Nonsensical settings, as overrides of a file and as dicts: refused in a line, or warned of and sound.

None ends in a traceback or a warning of Python's or NumPy's, whatever the caller has set there.
"""

import numpy as np
import pytest
from written import written

from experiments.config import ConfigError, Run, cautions, from_mapping, keys_of, load
from experiments.config.tree import Place, plain
from experiments.config.yaml_strict import read_value
from experiments.sweeps.plan import grid
from experiments.sweeps.runner import run_stack

BASE = {
    "question": "Is it?",
    "base": {"dataset": "moons(n=60)", "depth": 2, "width": 4, "steps": 6, "batch": 8},
    "sweep": {"activation": ["sigmoid", "tanh", "relu"], "lr": [0.1, 0.2]},
    "figures": [],
}
FILE = """question: Is it?
base: {dataset: moons(n=60), depth: 2, width: 4, steps: 6, batch: 8}
sweep: {activation: [sigmoid, tanh, relu], lr: [0.1, 0.2]}
figures: []
"""

REFUSED = {
    "activation=nonsense": "unknown activation 'nonsense'",
    "activation=leaky_relu(slope=0)": "slope is 0, which is not a number above 0 and up to 1",
    "activation=relu(": "is not of the form name or name(option=value, …)",
    "activation=swish(beta=-1)": "beta is -1, which is not a number from 0.001 to 1000",
    "activation=[swish, silu(beta=1)]": "'silu' is listed twice",
    "activation=[elu(alpha=.nan)]": "elu",
    "depth=-1": "-1 is not a whole number from 0 to 10000",
    "width=0": "0 is not a whole number from 1 to 65536",
    "batch=0": "0 is not a whole number from 1",
    "batch=1000": "1000 examples a batch, but moons(n=60) has 48 to train on",
    "lr=[-1]": "-1 is not a number from 0 to 1e+12",
    "lr=.nan": "nan is not a number",
    "lr=fast": "'fast' is not a number",
    "lr=[0.1, 0.10]": "0.1 is listed twice",
    "clip=0": "0 is not a number above 0",
    "residual=-1": "-1 is not a number from 0",
    "weight_decay=.inf": "inf is not a number",
    "dtype=float16": "'float16' is not one of float32, float64. Did you mean",
    "seed=-1": "-1 is not a whole number",
    "steps=-5": "-5 is not a whole number",
    "loss=none": "unknown loss 'none'",
    "optimiser=adam(beta1=1)": "beta1 is 1, which is not a number from 0 to below 1",
    "optimiser=adam(eps=0)": "eps is 0, which is not a number above 0",
    "schedule=cosine(warmup=-1)": "warmup is -1",
    "schedule=shock(length=0)": "length is 0",
    "norm=batch(eps=1)": "eps is 1",
    "norm=batch(momentum=0.9)": "has no option 'momentum'; it takes eps=1e-05 (a number from 0 to below 1)",
    "init=normal(std=-1)": "std is -1",
    "init=orthogonal(gain=lots)": "a number from 0 to 1000000 or one of auto, auto_gradient",
    "init=glorot": "Did you mean 'glorot_normal'?",
    "bias=normal(std=1e9)": "std is 1000000000.0",
    "dataset=moons(n=2)": "n is 2, which is not a whole number from 4",
    "dataset=moons(test=1)": "test is 1, which is not a number above 0 and below 1",
    "dataset=moons(noise=-1)": "noise is -1",
    "dataset=blobs(classes=1)": "classes is 1",
    "dataset=spirals(n=10, classes=6)": "n=10: must be from 12",
    "dataset=file": "needs a path",
    "dataset=file(path=no/such.csv)": "no/such.csv: no such file",
    "dataset=file(path=../no.csv)": "a path stands in quotes",
    "probes=[jacobian_mean(examples=-3)]": "examples is -3, which is not a whole number from 1",
    "probes=[end_to_end_log10(examples=0)]": "examples is 0",
    "probes=[gradient_snr(batch=0)]": "batch is 0",
    "probes=[saturated_fraction(below=-5)]": "below is -5",
    "probes=[saturated_fraction(below=1e9)]": "below is 1000000000.0",
    "unit_probes=[unit_dead(state=1)]": "has no option 'state'; it takes no options",
    "watch=[-1]": "-1 is not a whole number",
    "probe_set=0": "0 is not a whole number from 1",
    "trace=never": "'never' is not one of",
    "search=depth(accuracy=50)": "which is not a number above 0 and up to 1. Did you mean 0.5?",
    "search=depth(shallowest=9, deepest=3)": "it has to be deeper",
    "claims=[W03_slope(activation=nonsense)]": "unknown activation 'nonsense'",
    "claims=[\"W03_slope(activation='relu(')\"]": "'relu(' is not of the form",
    "claims=[W08_sigmoid_expensive(against=rleu)]": "Did you mean 'relu'?",
    "claims=[L05_born_dead(nets=-1)]": "nets is -1, which is not a whole number from 2 to 100000",
    "claims=[L06_spread(nets=0)]": "nets is 0",
    "claims=[L06_spread(nets=1e12)]": "nets is 1000000000000.0",
    "claims=[L11_batch_norm(examples=0)]": "examples is 0",
    "claims=[W04_gradient_shrinks(activation=nonsense)]": "unknown activation 'nonsense'",
    "claims=[W04_gradient_shrinks(activation=selu)]": "activation: no run has activation selu. Did you mean",
    "claims=[\"W04_gradient_shrinks(controls=[])\"]": "an empty list",
    "claims=[\"W04_gradient_shrinks(controls=[tanh, tanh()])\"]": "tanh is listed twice",
    "claims=[W04_gradient_shrinks(quarter=-1)]": "quarter is -1",
    "claims=[W04_gradient_shrinks(quarter=25)]": "Did you mean 0.25?",
    'claims=["W07_slow_convergence(inputs=[nonsense])"]': "unknown dataset 'nonsense'",
    "figures=[gradient_by_layer(where=nonsense)]": "not of the form runs(field=value, …)",
    "figures=[gradient_by_layer(where=runs(dpth=2))]": "a run has no field 'dpth'. Did you mean 'depth'?",
    "figures=[gradient_by_layer(where=runs(depth=99))]": "no run has depth 99. Runs have 2",
    "figures=[\"gradient_by_layer(where=runs(activation=[tanh, gelu]))\"]": "no run has activation gelu",
    "figures=[gradient_by_layer(where=runs(lr=-1))]": "lr: -1 is not a number from 0",
    "figures=[unit_life]": "unit_life draws unit_dead: add that to the unit_probes",
    "figures=[underflow]": "underflow draws delta_norm_plain, dw_norm_plain: add that to the probes",
    "figures=[jacobian_by_layer]": "add that to the probes",
    "figures=[\"gradient_by_layer(hue=[depth, depth])\"]": "depth is listed twice",
    "figures=[\"gradient_by_layer(hue=depth, facet=depth)\"]": "depth is told by the colour",
    "figures=[gradient_by_layer(hue=dpth)]": "a field of a run, a list of such fields, or null. Did you mean",
    "figures=[frontier(accuracy=7)]": "accuracy is 7, which is not a number above 0 and up to 1",
    "figures=[trainability_map(scales=-6)]": "scales is -6",
    "figures=[steps_by_rate(target=0)]": "target is 0",
}  # fmt: skip

WARNED = {
    "lr=0": "lr: 0 means that no weight is ever changed",
    "lr=1e12": "leaves every place where anything could be learnt",
    "init=normal(std=0)": "init: normal(std=0) makes all units of a layer equal",
    "init=uniform(bound=0)": "makes all units of a layer equal",
    "init=orthogonal(gain=0)": "makes all units of a layer equal",
    "init=scaled_normal(gain=0)": "makes all units of a layer equal",
    "schedule=shock(at=1000000)": "schedule: shock(at=1000000) has no effect in 6 updates",
    "schedule=shock(factor=1, at=2)": "has no effect in 6 updates",
    "schedule=step(every=100)": "schedule: step has no effect in 6 updates",
    "schedule=cosine(warmup=1000000)": "the learning rate never reaches lr in 6 updates",
    "schedule=shock(at=0, length=9, factor=0)": "no weight is ever changed",
    "residual=1; depth=1": "residual: 1 has no effect at depth 1",
    "norm=batch; depth=0": "norm: batch has no effect at depth 0",
    "norm=layer; depth=0": "norm: layer has no effect at depth 0",
    "norm=batch; batch=1": "makes every unit 0 in a batch of 1, so that hidden layers get no gradient",
    "norm=layer; width=1": "makes every output of a layer of width 1 the same",
    "norm=batch(eps=0)": "divides by 0 where a unit gives all examples the same",
    "norm=layer(eps=0)": "divides by 0 where an example gives all units the same",
    "weight_decay=1e12": "pulls the weights beyond 0: this cannot learn",
    "watch=[0,3,99]": "watch: 99 lie beyond the last update, 6",
    "steps=0": "lr: has no effect without an update (steps: 0), and is swept",
    "probes=[gradient_snr]; probe_set=20": "needs two batches of 32",
}

SOUND = [  # extremes that say what they do
    "depth=0", "width=1", "steps=0; lr=0.1", "batch=48", "clip=1e-300", "clip=1e12", "residual=1e12",
    "seed=9223372036854775807", "init=normal(std=1e6)", "bias=normal(std=1e6)",
    "optimiser=adam(eps=1e-300)", "dtype=float32; init=normal(std=1e6)",
    "probes=[jacobian_mean(examples=1000000000)]", "probes=[gradient_cosine(batch=1)]", "probe_set=1",
    "dataset=moons(n=60, noise=0)", "dataset=circles(n=60, factor=0)", "activation=[sigmoid(shift=1000)]",
    "trace=batch; norm=batch",
]  # fmt: skip


def as_dict(text):
    """The dict that says what overrides say: a list of a run's values is swept, another is a key's own."""
    made = {key: dict(value) if isinstance(value, dict) else value for key, value in BASE.items()}
    for override in text.split("; "):
        key, _, value = override.partition("=")
        node, faults = read_value(value, Place(""))
        assert not faults
        if key not in keys_of(Run):
            made[key] = plain(node)
            continue
        made["base"].pop(key, None)
        made["sweep"].pop(key, None)
        made["sweep" if isinstance(node.value, list) else "base"][key] = plain(node)
    return made


@pytest.fixture(autouse=True)
def _a_caller_who_raises_everything():
    with np.errstate(all="raise"):
        yield


@pytest.mark.parametrize("text", REFUSED)
def test_nonsense_is_refused_in_a_line_before_anything_trains(text, tmp_path):
    for read in (
        lambda: load(written(tmp_path, FILE), [text]),
        lambda: from_mapping(as_dict(text)),
    ):
        with pytest.raises(ConfigError) as error:
            read()
        (message,) = error.value.messages
        assert REFUSED[text] in message
        assert message.isprintable()
        assert "typing." not in message


@pytest.mark.parametrize("text", [*WARNED, *SOUND])
def test_an_extreme_is_warned_of_where_it_is_a_slip_and_trains_soundly(text, tmp_path):
    experiment = from_mapping(as_dict(text))
    overridden = load(written(tmp_path, FILE), text.split("; "))
    assert (overridden.base, overridden.sweep) == (experiment.base, experiment.sweep)
    said = cautions(experiment)
    assert any(WARNED[text] in line for line in said) if text in WARNED else not said, said
    for run in grid(experiment)[::5]:
        records = run_stack([run], experiment.recording)
        assert records.runs["status"].isin(["ok", "diverged"]).all()
        assert len(records.steps) == len(set(records.steps["step"]))


def test_there_are_enough_of_them():
    assert len(REFUSED) + len(WARNED) + len(SOUND) > 100

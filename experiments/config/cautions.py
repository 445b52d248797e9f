"""Settings that are allowed and may be a slip: those without effect, and those that cannot learn.

They may be a lesson, so they are not refused. `cautions` gives a sentence for each, which is shown before
anything trains and kept with the results. A rule is one function of the fields that it looks at; it returns
what to say, or "".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from math import log10

from experiments.config.vocabulary import Experiment
from mlp.registry import parse_call

MOST = 12  # sentences; more are not read
LONGEST = 20_000  # updates over which a schedule is looked at

Rule = Callable[..., str]
RULES: list[Rule] = []


def cautions(experiment: Experiment) -> list[str]:
    """What of an experiment's settings may be a slip, a sentence each. Reads a user's own data files."""
    found = dict.fromkeys([*experiment.cautions, *_of_runs(experiment), *_of_recording(experiment)])
    lines = [*found, *_of_data(experiment)]
    return lines if len(lines) <= MOST else [*lines[:MOST], f"… and {len(lines) - MOST} more of this kind"]


def _of_runs(experiment: Experiment) -> list[str]:
    """What the rules say of the combinations of the fields that each of them looks at."""
    said = []
    for rule in RULES:
        fields = list(inspect.signature(rule).parameters)
        if "depth" in fields and experiment.search != "none":
            continue  # the search will find the depths
        for setting in experiment.only(*fields).combinations():
            run = vars(experiment.base) | setting
            said.append(rule(**{field: run[field] for field in fields}))
    return [line for line in said if line]


def _rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


@_rule
def _schedule(schedule: str, steps: int) -> str:
    if schedule == "constant" or not 0 < steps <= LONGEST:
        return ""
    factors = _factors(schedule, steps)
    if all(factor == 1 for factor in factors):
        return f"schedule: {schedule} has no effect in {steps} updates"
    if max(factors) < 1:
        return f"schedule: under {schedule} the learning rate never reaches lr in {steps} updates"
    return ""


@lru_cache
def _factors(schedule: str, steps: int) -> tuple[float, ...]:
    from mlp.schedules import SCHEDULES

    factor = SCHEDULES.bind(schedule)()
    return tuple(factor(step, steps) for step in range(steps))


@_rule
def _residual(residual: float, depth: int) -> str:
    if residual and depth < 2:
        return f"residual: {residual:g} has no effect at depth {depth}; skips begin at hidden layer 2"
    return ""


@_rule
def _without_hidden_layers(layer_lr: float, dropout: float, depth: int) -> str:
    if depth == 0 and (layer_lr != 1 or dropout):
        what = f"layer_lr: {layer_lr:g}" if layer_lr != 1 else f"dropout: {dropout:g}"
        return f"{what} has no effect at depth 0, where there is no hidden layer"
    return ""


@_rule
def _first_rate(layer_lr: float, depth: int, steps: int) -> str:
    decades = depth * log10(layer_lr)
    if steps and abs(decades) > 12:
        return f"layer_lr: {layer_lr:g} at depth {depth} makes the rate of layer 1 10^{decades:+.0f} times lr"
    return ""


@_rule
def _norm_without_layers(norm: str, depth: int) -> str:
    if norm != "none" and depth == 0:
        return f"norm: {norm} has no effect at depth 0; hidden layers are normalised, and there are none"
    return ""


@_rule
def _norm_of_one(norm: str, batch: int, width: int, depth: int) -> str:
    kind, options = parse_call(norm)
    if kind == "none" or depth == 0:
        return ""
    if kind == "batch" and batch == 1:
        return f"norm: {norm} makes every unit 0 in a batch of 1, so that hidden layers get no gradient"
    if kind == "layer" and width == 1:
        return f"norm: {norm} makes every output of a layer of width 1 the same: this cannot learn"
    if options.get("eps") == 0:
        same = "a unit gives all examples" if kind == "batch" else "an example gives all units"
        return f"norm: {norm} divides by 0 where {same} the same: such a run diverges"
    return ""


@_rule
def _no_step(lr: float, schedule: str, steps: int) -> str:
    if steps and lr == 0:
        return "lr: 0 means that no weight is ever changed"
    if 0 < steps <= LONGEST and not any(_factors(schedule, steps)):
        return f"schedule: {schedule} means that no weight is ever changed"
    return ""


@_rule
def _decay(weight_decay: float, lr: float, optimiser: str, steps: int) -> str:
    decoupled = parse_call(optimiser)[0] in ("sgd", "momentum", "nesterov", "adamw")
    pull = lr * weight_decay if decoupled else weight_decay
    if steps and pull >= 1:
        return f"weight_decay: {weight_decay:g} at lr {lr:g} pulls the weights beyond 0: this cannot learn"
    return ""


@_rule
def _equal_weights(init: str, activation: str, depth: int) -> str:
    from mlp import initialisers
    from mlp.activations import activation as curve

    if depth and initialisers.weight_variance(init, 64, 64, curve(activation)) == 0:
        return f"init: {init} makes all units of a layer equal, and they stay so (symmetry is not broken)"
    return ""


@_rule
def _huge_rate(lr: float, optimiser: str, steps: int) -> str:
    if steps and lr >= 1e6:
        return f"lr: {lr:g} with {optimiser} leaves every place where anything could be learnt"
    return ""


@_rule
def _dead_biases(bias: str, activation: str, norm: str, depth: int) -> str:
    from mlp import initialisers
    from mlp.activations import activation as curve

    if not depth or not initialisers.bias_mean(bias, 64, 64):
        return ""
    if norm != "none":
        return f"bias: {bias} kills no unit under norm={norm}, which takes the biases away again"
    if not curve(activation).is_dead_at(-initialisers.FATAL):
        return f"bias: {bias} kills no unit of {activation}, whose slope is not 0 on the far left"
    return ""


def _of_recording(experiment: Experiment) -> list[str]:
    """Watched steps that no run has, fields swept in runs of no update, probes of too few examples."""
    said = []
    all_steps = experiment.sweep.get("steps") or experiment.zip.get("steps") or (experiment.base.steps,)
    if not isinstance(experiment.watch, int) and experiment.watch[-1:] > (max(all_steps),):
        beyond = [step for step in experiment.watch if step > max(all_steps)]
        said.append(f"watch: {', '.join(map(str, beyond))} lie beyond the last update, {max(all_steps)}")
    varied = {key for key, values in (experiment.sweep | experiment.zip).items() if len(set(values)) > 1}
    if not any(all_steps):
        idle = [
            key for key in ("lr", "optimiser", "schedule", "batch", "clip", "weight_decay") if key in varied
        ]
        said += [f"{key}: has no effect without an update (steps: 0), and is swept" for key in idle]
    if experiment.trace == "probe_set":
        for text in experiment.probes:
            batch = parse_call(text)[1].get("batch", 32 if parse_call(text)[0] in _NOISE else 0)
            if 2 * batch > experiment.probe_set:
                said.append(
                    f"probes: {text} needs two batches of {batch}; probe_set is {experiment.probe_set}"
                )
    return said


_NOISE = ("gradient_snr", "gradient_cosine")


def _of_data(experiment: Experiment) -> list[str]:
    """What a user should look at in the data files that are named."""
    from experiments.datasets import is_own, load

    texts = experiment.sweep.get("dataset") or experiment.zip.get("dataset") or (experiment.base.dataset,)
    own = [text for text in dict.fromkeys(texts) if is_own(text)]
    notes = {text: load(text).notes for text in own}
    return [f"dataset: {text}: {note}" for text, note in notes.items() if note]

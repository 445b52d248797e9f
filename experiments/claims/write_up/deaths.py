"""Claims about units that die and whether they come back: W13, W14."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis import lives as life
from experiments.analysis.ratios import at_end, hidden, join
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.evidence import told
from experiments.claims.settings import alike, named, only
from experiments.claims.verdict import Evidence, Role, Undecided, Verdict, decide
from mlp.activations import ActivationName
from mlp.registry import Share

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

LEAKY = ["leaky_relu(slope=0.1)", "leaky_relu"]
BESIDE = {"optimiser": "sgd", "weight_decay": 0.0, "norm": "none"}  # nothing but its gradient moves a unit


def _asked(records: Records, texts: list[str]) -> tuple[Records, int]:
    """Return the runs with these activations and the step of their shock; undecided if they differ otherwise.

    Shocks after which some run diverged are left out: of such a run no unit is known to be dead or alive.
    """
    found = only(records, activation=texts)
    alike(found.runs, ["activation", "schedule"], "activation and schedule")
    try:
        at = life.shock_step(found)
    except ValueError as error:
        raise Undecided(str(error), "schedule: shock(at=20, factor=100)") from None
    if not {at, at + 1} <= set(found.units["step"]):
        raise Undecided("the shock was not watched", f"watch: [{at}, {at + 1}] among the steps")
    outlived = found.runs.groupby("schedule")["status"].agg(lambda each: bool((each == "ok").all()))
    kept = found.of(found.runs.loc[found.runs["schedule"].map(outlived), "run_id"])
    if not len(_shocked(kept.runs)):
        counts = _shocked(found.runs)["status"].value_counts()
        lost = ", ".join(f"{n} {status}" for status, n in counts.items())
        raise Undecided(f"no shock was outlived by all runs ({lost})", "schedule: a smaller factor")
    return kept, at


def _shocked(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["schedule"].map(life.shock_factor) > 1]


def _largest(frame: pd.DataFrame) -> str:
    return str(max(frame["schedule"], key=life.shock_factor))


def _by_seed(rows: pd.DataFrame, seeds: pd.Series, measure: Callable[[pd.DataFrame], float]) -> list[float]:
    """Return a measure of each seed's rows; NaN for a seed without any."""
    groups = dict(list(rows.groupby("seed")))
    return [measure(groups[seed]) if seed in groups else np.nan for seed in sorted(set(seeds))]


# W13 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("unit_dead", "unit_bias", "unit_w_norm", "unit_z_mean", "unit_step_norm")
@rule(
    "over {dies:g} of the units die in the largest shock; none of those killed comes back above layer 1; the "
    "bias makes over {by_bias:g} of their fall. Check: none comes back in layer 1"
)
def W13_dying_relu(
    records: Records, *, activation: ActivationName = "relu", dies: Share = 0.1, by_bias: Share = 0.5
) -> Verdict:
    """A large gradient can make a ReLU's bias so negative that it outputs 0 for every input, and forever.

    Measured: One update at many times the learning rate, of several sizes, then ordinary training; which
    hidden units are dead (slope 0 on every training example) at each watched step. Of the units that lived
    before the largest shock that all runs outlived, the share that it kills; of the units killed by any
    shock, the share that lives at a later watched step; and, of first-layer units killed by a shock, the part
    of the fall of their mean pre-activation that the bias made. There the inputs are fixed, so that the rest
    is the weights'. The check: in layer 1 no dead unit comes back, for plain gradient descent cannot move it.

    Nuance: Above layer 1 the inputs move as the layers below go on learning, and units do come back. And
    where inputs have a mean the weights do more of the killing than the bias, for they move by it, too.
    """
    mine, at = _asked(records, [named(activation)])
    changes = _shocked(life.died_and_lived(mine, at))
    if not len(changes):
        raise Undecided(
            "no hidden unit is known to live before the shock", "init, bias or lr: such that some do"
        )
    largest = _largest(changes)
    killed = _killed(mine, changes, at)
    evidence = [
        Evidence.of(
            f"units alive before that die in {largest}",
            _by_seed(
                changes[changes["schedule"] == largest], mine.runs["seed"], lambda each: each["died"].mean()
            ),
            "above",
            dies,
            unit="of all",
        ),
        *_back(killed, mine.runs),
        *_by_the_bias(killed, mine.runs["seed"], by_bias),
    ]
    return decide(
        evidence,
        f"share of hidden units that die in {largest}",
        condition=_for_good,
        remarks=[*_sizes(changes), *_moved(changes), *_counts(mine, killed, at)],
    )


def _killed(records: Records, changes: pd.DataFrame, at: int) -> pd.DataFrame:
    """Return the units that a shock killed, with `back`: whether they live at a later watched step."""
    keys = ["run_id", "layer", "unit"]
    later = life.lives(records)
    back = ~later[later["step"] > at + 1].groupby(keys)["dead"].agg("all")
    return changes[changes["died"]].merge(
        back.rename("back").reset_index(), on=keys, how="left", validate="one_to_one"
    )


def _back(killed: pd.DataFrame, runs: pd.DataFrame) -> list[Evidence]:
    """Return the share of killed units that come back: in layer 1 as a check of a law, above it as evidence.

    It is a law of plain gradient descent only: momentum or weight decay can move a unit without a gradient.
    """
    is_law = all((runs[field] == plain).all() for field, plain in BESIDE.items())
    parts: list[tuple[str, pd.DataFrame, Role]] = [
        ("layer 1", killed[killed["layer"] == 1], "check" if is_law else "claim"),
        ("the layers above", killed[killed["layer"] > 1], "claim"),
    ]
    return [
        Evidence.exact(
            f"units of {where} killed by a shock that live again",
            _by_seed(rows, runs["seed"], lambda each: float(each["back"].astype(float).mean())),
            0.0, role=role, unit="of those killed",
        )
        for where, rows, role in parts
        if len(rows)
    ]  # fmt: skip


def _by_the_bias(killed: pd.DataFrame, seeds: pd.Series, most: float) -> list[Evidence]:
    """Return the bias's part in the fall of z that killed first-layer units, whose inputs are fixed."""
    first = killed[killed["layer"] == 1]
    if not len(first):
        return []
    name = "the bias's part of the fall of the mean z of first-layer units killed"
    return [Evidence.of(name, _by_seed(first, seeds, life.bias_share), "above", most, unit="of the fall")]


def _for_good(evidence: Sequence[Evidence]) -> str:
    """Say what becomes of the units that die."""
    parts = []
    for e in evidence:
        if "live again" in e.setting:
            where = "in layer 1" if "layer 1" in e.setting else "above layer 1"
            parts.append(f"of the units that a shock kills {where}, a share of {e.numbers} live again")
        elif "bias" in e.setting:
            parts.append(f"of the fall of the mean z that kills them, the bias makes a share of {e.numbers}")
        else:
            parts.append(f"in the largest shock, a share of {e.numbers} of the units die")
    return "; ".join(parts)


def _sizes(changes: pd.DataFrame) -> list[str]:
    """Say how many die, by the size of the shock."""
    return [
        f"{text}: of the hidden units alive before, a share of "
        f"{told(rows.groupby('seed')['died'].mean())} die."
        for text, rows in sorted(changes.groupby("schedule"), key=lambda item: life.shock_factor(item[0]))
    ]


def _moved(changes: pd.DataFrame) -> list[str]:
    """Say how the shocks moved the units that died and those that lived: medians over units, by seed."""
    columns = {
        "d_bias": "their bias changed by", "moved": "their weights moved a distance of",
        "d_w_norm": "the weights' norm changed by", "d_z_mean": "their mean z changed by",
    }  # fmt: skip
    found = []
    for died, rows in changes.groupby("died"):
        middle = rows.groupby("seed")[list(columns)].median()
        words = ", ".join(f"{says} {told(middle[column])}" for column, says in columns.items())
        found.append(f"In the median of the units that {'died' if died else 'lived'}, {words}.")
    return found


def _counts(records: Records, killed: pd.DataFrame, at: int) -> list[str]:
    """Say by layer how many units were dead before a shock, and killed and revived after it."""
    shocked = _shocked(life.life_table(records))
    before = shocked[shocked["step"] == at].groupby("layer")["dead"].sum()
    counts = killed.groupby("layer")["back"].agg(["size", "sum"])
    told_ = [
        f"in layer {layer} {before[layer]} units were dead before and are left out, {row['size']} were "
        f"killed and {int(row['sum'])} of these lived again"
        for layer, row in counts.iterrows()
    ]
    seeds = records.runs["seed"].nunique()
    return [f"Over all shocks and {seeds} seeds: {'; '.join(told_)}."] if told_ else []


# W14 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("unit_inactive", "unit_gradient_norm", "unit_dead", varies=("activation",))
@rule(
    "over {most:g} of the first-layer units that a shock leaves never positive are positive again. Check: "
    "the "
    "gradient into such units is 0 with {against}, above 0 with leaky"
)
def W14_leaky_recovers(
    records: Records,
    *,
    leaky: list[ActivationName] = LEAKY,
    against: ActivationName = "relu",
    most: Share = 0.5,
) -> Verdict:
    """Leaky ReLU passes a gradient of α on the negative side, so a unit that ReLU would lose can recover.

    Measured: The shock of W13. Of first-layer units negative on every training example right after it, the
    share that is positive somewhere at a later watched step. The check: of hidden units negative on every
    example, the norm of the gradient of their weights and bias at every watched step, the largest with ReLU
    and the smallest with each leaky one. Beside it test accuracy at the end, less ReLU's, after the largest
    shock that all runs outlived.

    Nuance: The gradient is never 0, but α times smaller, so that a unit thrown far is a long time on its way,
    and few return. A leaky unit that is negative everywhere is linear, passes a signal and learns: it is no
    dead unit, and need not become positive to be of use. "Dead" has to mean "no gradient", not "never
    positive". And a network that has lost a part of its ReLUs recovers its accuracy with the others.
    """
    leaky, against = [named(text) for text in leaky], named(against)
    mine, at = _asked(records, [against, *leaky])
    seeds = mine.runs["seed"]
    rows = join(hidden(mine.units, mine.runs), mine.runs, ["activation", "schedule", "seed"])
    rows = _shocked(rows)
    silent = rows[(rows["unit_inactive"] == 1) & (rows["step"] > at)]
    for text in (*leaky, against):
        if not (silent["activation"] == text).any():
            reason = f"no unit with {text} is negative on every example after a shock"
            raise Undecided(reason, "schedule: a larger factor")
    evidence = [
        *(_again(rows, seeds, text, at, most) for text in leaky),
        *_better(mine, leaky, against),
        *(_gradient(silent, seeds, text, is_leaky=text != against) for text in (*leaky, against)),
    ]
    return decide(
        evidence,
        f"share of first-layer units never positive after a shock that are positive again, with {leaky[0]}",
        condition=_recovers,
        remarks=[*(_still_silent(rows, text, at) for text in (*leaky, against)), *_accuracies(mine)],
    )


def _recovers(evidence: Sequence[Evidence]) -> str:
    """Say what recovers: which units, and whether the network."""
    again = [
        f"a share of {e.numbers} with {e.setting.partition(':')[0]}" for e in evidence if "again" in e.setting
    ]
    gains = [f"{e.numbers} with {e.setting.partition(':')[0]}" for e in evidence if "accuracy" in e.setting]
    return (
        f"of first-layer units never positive right after a shock, {', '.join(again)} are positive again "
        f"later, though they get a gradient; beside it, the gain in test accuracy over ReLU is "
        f"{', '.join(gains)}"
    )


def _gradient(silent: pd.DataFrame, seeds: pd.Series, text: str, *, is_leaky: bool) -> Evidence:
    """Return the gradient into units that are negative on every example: the smallest, or ReLU's largest."""
    mine = silent[silent["activation"] == text]
    name = f"{text}: {'smallest' if is_leaky else 'largest'} ‖gradient‖ into units never positive"
    values = _by_seed(
        mine, seeds, lambda each: float(getattr(each["unit_gradient_norm"], "min" if is_leaky else "max")())
    )
    if is_leaky:
        return Evidence.of(name, values, "above", 0.0, role="check")
    return Evidence.exact(name, values, 0.0, role="check")


def _recovered(rows: pd.DataFrame, at: int) -> pd.DataFrame:
    """Return first-layer units never positive right after the shock; `again`: positive at a later step."""
    keys = ["run_id", "layer", "unit"]
    first = rows[(rows["layer"] == 1) & (rows["step"] > at)]
    later = first[first["step"] > at + 1].groupby(keys)["unit_inactive"].min()
    struck = first[(first["step"] == at + 1) & (first["unit_inactive"] == 1)]
    return struck.merge((later == 0).rename("again").reset_index(), on=keys, validate="one_to_one")


def _again(rows: pd.DataFrame, seeds: pd.Series, text: str, at: int, most: float) -> Evidence:
    struck = _recovered(rows[rows["activation"] == text], at)
    values = _by_seed(struck, seeds, lambda each: float(each["again"].mean()))
    name = f"{text}: first-layer units never positive after a shock that are positive again"
    return Evidence.of(name, values, "above", most, unit="of those units")


def _better(records: Records, leaky: Sequence[str], against: str) -> list[Evidence]:
    """Return by seed the test accuracy after training less ReLU's, at the largest shock."""
    ends, largest = _final(records), _largest(records.runs)
    ends = ends[ends["schedule"] == largest].set_index(["activation", "seed"])["test_accuracy"]
    seeds = sorted(set(records.runs["seed"]))
    found = []
    for text in leaky:
        theirs, mine = (ends.reindex([(act, seed) for seed in seeds]).to_numpy() for act in (against, text))
        gain = mine - theirs
        name = f"{text}: test accuracy less that with {against} after {largest}"
        found.append(Evidence.of(name, gain, "above", 0.0, role="aside"))
    return found


def _final(records: Records) -> pd.DataFrame:
    ends = at_end(records.steps[["run_id", "step", "test_accuracy"]], records.runs)
    return join(ends, records.runs, ["activation", "schedule", "seed"])


def _accuracies(records: Records) -> list[str]:
    """Say the accuracy of every activation at every shock."""
    schedules = sorted(records.runs["schedule"].unique(), key=life.shock_factor)
    rows = _final(records)
    return [
        f"{schedule}: test accuracy with "
        + ", with ".join(
            f"{text} {told(each['test_accuracy'])}"
            for text, each in rows[rows["schedule"] == schedule].groupby("activation", sort=False)
        )
        + "."
        for schedule in schedules
    ]


def _still_silent(rows: pd.DataFrame, text: str, at: int) -> str:
    """Say how many first-layer units a shock has left negative everywhere, and how many come back."""
    struck = _recovered(rows[rows["activation"] == text], at)
    by_seed = struck.groupby("seed")["again"].agg(["size", "sum"])
    return (
        f"{text}: the shocks leave {told(by_seed['size'])} first-layer units of a seed never positive, of "
        f"which {told(by_seed['sum'])} are positive again later."
    )

"""Claims about units that die and whether they come back: W13, W14."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis import lives as life
from experiments.analysis.ratios import at_end, hidden, join
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, only
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from mlp.activations import ACTIVATIONS

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

LEAKY = ["leaky_relu(slope=0.1)", "leaky_relu(slope=0.01)"]


def _asked(records: Records, texts: list[str]) -> tuple[Records, int]:
    """The runs with these activations and the step of their shock; undecided if they differ otherwise."""
    found = only(records, activation=texts)
    alike(found.runs, ["activation", "schedule"], "activation and schedule")
    try:
        at = life.shock_step(found)
    except ValueError as error:
        raise Undecided(str(error), "schedule: shock(at=20, factor=100)") from None
    if not {at, at + 1} <= set(found.units["step"]):
        raise Undecided("the shock was not watched", f"watch: [{at}, {at + 1}] among the steps")
    return found, at


def _shocked(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["schedule"].map(life.shock_factor) > 1]


def _by_seed(rows: pd.DataFrame, seeds: pd.Series, measure: Callable[[pd.DataFrame], float]) -> list[float]:
    """A measure of each seed's rows; NaN for a seed without any."""
    groups = dict(list(rows.groupby("seed")))
    return [measure(groups[seed]) if seed in groups else np.nan for seed in sorted(set(seeds))]


# W13 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("unit_dead", "unit_bias", "unit_w_norm", "unit_z_mean", "unit_step_norm")
@rule("over {dies:g} of units die in the largest shock, none revives, over {by_bias:g} by the bias")
def W13_dying_relu(
    records: Records, *, activation: str = "relu", dies: float = 0.1, by_bias: float = 0.5
) -> Verdict:
    """A large gradient can make a ReLU's bias so negative that it outputs 0 for every input, and forever.

    Measured: One update at many times the learning rate, of several sizes, then ordinary training; which
    hidden units are dead (slope 0 on every training example) at each watched step. The share of units that
    die in the largest shock; of all deaths, the share followed by a revival, in the first layer and in deeper
    ones; and, of first-layer units killed by a shock, the part of the fall of their mean pre-activation that
    the bias made. There the inputs are fixed, so that the rest is the weights'.

    Nuance: In the first layer the inputs never change, and no unit that is dead comes back: exact. Above it
    the inputs move as the layers below go on learning, and units do come back. And where inputs have a mean
    the weights do more of the killing than the bias, for they move by it, too.
    """
    mine, at = _asked(records, [activation])
    seeds = mine.runs["seed"]
    table = life.life_table(mine)
    changes = _shocked(life.died_and_lived(mine, at))
    largest = max(changes["schedule"], key=life.shock_factor)
    killed = changes[changes["schedule"] == largest]
    evidence = [
        Evidence.of(
            f"units that die in {largest}",
            _by_seed(killed, seeds, lambda each: each["died"].mean()),
            "above",
            dies,
        ),
        *_revivals(_shocked(table), seeds),
        Evidence.of(
            "the bias's part of the fall",
            _by_seed(_killed(changes), seeds, life.bias_share),
            "above",
            by_bias,
        ),
    ]
    remarks = [*_sizes(changes), *_moved(changes), *_counts(table)]
    return decide(evidence, "share of units", condition=_for_good(evidence[1:]), remarks=remarks)


def _for_good(evidence: Sequence[Evidence]) -> str:
    first, above, bias = (e.value for e in evidence)
    return (
        f"of deaths {first:.0%} are undone in layer 1 and {above:.0%} above it; of the fall of the mean "
        f"pre-activation the bias makes {bias:.0%}"
    )


def _killed(changes: pd.DataFrame) -> pd.DataFrame:
    """The first layer's units that a shock killed: what has moved them is told apart there."""
    return changes[changes["died"] & (changes["layer"] == 1)]


def _revivals(table: pd.DataFrame, seeds: pd.Series) -> list[Evidence]:
    """Revivals over deaths, by seed, of layer 1 and of the others, over all shocks and steps."""

    def share(each: pd.DataFrame) -> float:
        deaths = each["deaths"].sum()
        return each["revivals"].sum() / deaths if deaths else np.nan

    parts = {
        "deaths undone in layer 1": table["layer"] == 1,
        "deaths undone above layer 1": table["layer"] > 1,
    }
    return [Evidence.exact(name, _by_seed(table[rows], seeds, share), 0.0) for name, rows in parts.items()]


def _sizes(changes: pd.DataFrame) -> list[str]:
    """How many die, by the size of the shock."""
    share = changes.groupby("schedule")["died"].mean()
    return [
        f"{text}: {share[text]:.1%} of hidden units die."
        for text in sorted(share.index, key=life.shock_factor)
    ]


def _moved(changes: pd.DataFrame) -> list[str]:
    """What the shocks did to the units that died and to those that lived."""
    middle = changes.groupby("died")[["d_bias", "moved", "d_w_norm", "d_z_mean"]].median()
    return [
        f"Median of units that {'died' if died else 'lived'}: bias {row.d_bias:+.2f}, weights moved "
        f"by {row.moved:.2f} (their norm {row.d_w_norm:+.2f}), mean z {row.d_z_mean:+.2f}."
        for died, row in zip(middle.index, middle.itertuples(), strict=True)
    ]


def _counts(table: pd.DataFrame) -> list[str]:
    """Deaths and revivals by layer, all shocks, seeds and watched steps together, and without a shock."""
    shocks = _shocked(table).groupby("layer")[["deaths", "revivals"]].sum()
    calm = table[table["schedule"].map(life.shock_factor) == 1]
    told = [
        f"layer {layer}: {row.deaths} deaths, {row.revivals} revivals" for layer, row in shocks.iterrows()
    ]
    without = [f"Without a shock {calm['deaths'].sum()} deaths."] if len(calm) else []
    return [f"With shocks {'; '.join(told)}.", *without]


# W14 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("unit_inactive", "unit_gradient_norm", "unit_dead", varies=("activation",))
@rule(
    "gradient into units never positive 0 with {against}, above 0 with leaky; over {most:g} of them active "
    "again; more accurate than {against}"
)
def W14_leaky_recovers(
    records: Records,
    *,
    leaky: list[str] = LEAKY,
    against: str = "relu",
    most: float = 0.5,
) -> Verdict:
    """Leaky ReLU passes a gradient of α on the negative side, so a unit that ReLU would lose can recover.

    Measured: The shock of W13, then, of hidden units negative on every training example, the norm of the
    gradient of their weights and bias at every watched step: the largest with ReLU, the smallest with each
    leaky one. The share of first-layer units negative everywhere right after the shock that are positive
    somewhere at a later watched step; and test accuracy at the end, less ReLU's, after the largest shock.

    Nuance: The gradient is never 0, but α times smaller, so that a unit thrown far is a long time on its way.
    A leaky unit that is negative everywhere is linear, passes a signal and learns: it is no dead unit, and
    need not become positive to be of use. "Dead" has to mean "no gradient", not "never positive".
    """
    leaky = [ACTIVATIONS.canonical(text) for text in leaky]  # as the records name them
    mine, at = _asked(records, [against, *leaky])
    seeds = mine.runs["seed"]
    rows = join(hidden(mine.units, mine.runs), mine.runs, ["activation", "schedule", "seed"])
    rows = _shocked(rows)
    silent = rows[(rows["unit_inactive"] == 1) & (rows["step"] > at)]
    evidence = [_gradient(silent, seeds, text, is_leaky=text != against) for text in (*leaky, against)]
    evidence += [_again(rows, seeds, text, at, most) for text in leaky]
    evidence += _better(mine, leaky, against)
    remarks = [_still_silent(rows, text, at) for text in (*leaky, against)]
    condition = _passes_and_recovers(evidence)
    return decide(evidence, "‖gradient‖", condition=condition, remarks=[*remarks, *_accuracies(mine)])


def _passes_and_recovers(evidence: Sequence[Evidence]) -> str:
    passed = [e for e in evidence if "gradient" in e.setting]
    again = [f"{e.value:.0%} with {e.setting.partition(':')[0]}" for e in evidence if "again" in e.setting]
    told = (
        "a gradient passes as claimed" if all(e.holds for e in passed) else "the gradient is not as claimed"
    )
    return f"{told}; of units never positive after the shock become active again: {', '.join(again)}"


def _gradient(silent: pd.DataFrame, seeds: pd.Series, text: str, *, is_leaky: bool) -> Evidence:
    """The gradient into units that are negative on every example: the smallest, or the largest of ReLU's."""
    mine, name = silent[silent["activation"] == text], f"{text}: gradient into units never positive"
    if is_leaky:
        return Evidence.of(
            name, _by_seed(mine, seeds, lambda each: each["unit_gradient_norm"].min()), "above", 0.0
        )
    return Evidence.exact(name, _by_seed(mine, seeds, lambda each: each["unit_gradient_norm"].max()), 0.0)


def _recovered(rows: pd.DataFrame, at: int) -> pd.DataFrame:
    """First-layer units never positive right after the shock; `again`: positive at a later watched step."""
    keys = ["run_id", "layer", "unit"]
    first = rows[(rows["layer"] == 1) & (rows["step"] > at)]
    later = first[first["step"] > at + 1].groupby(keys)["unit_inactive"].min()
    struck = first[(first["step"] == at + 1) & (first["unit_inactive"] == 1)]
    return struck.merge((later == 0).rename("again").reset_index(), on=keys, validate="one_to_one")


def _again(rows: pd.DataFrame, seeds: pd.Series, text: str, at: int, most: float) -> Evidence:
    struck = _recovered(rows[rows["activation"] == text], at)
    values = _by_seed(struck, seeds, lambda each: float(each["again"].mean()))
    return Evidence.of(f"{text}: active again in layer 1", values, "above", most)


def _better(records: Records, leaky: Sequence[str], against: str) -> list[Evidence]:
    """Test accuracy after training less ReLU's, by seed, at the largest shock."""
    ends = _final(records)
    largest = max(ends["schedule"], key=life.shock_factor)
    rows = ends[ends["schedule"] == largest].groupby("activation")
    by_seed = {text: each.set_index("seed")["test_accuracy"] for text, each in rows}
    found = []
    for text in leaky:
        gain = by_seed[text] - by_seed[against].reindex(by_seed[text].index)
        found.append(Evidence.of(f"{text}: accuracy over {against}'s after {largest}", gain, "above", 0.0))
    return found


def _final(records: Records) -> pd.DataFrame:
    ends = at_end(records.steps[["run_id", "step", "test_accuracy"]], records.runs)
    return join(ends, records.runs, ["activation", "schedule", "seed"])


def _accuracies(records: Records) -> list[str]:
    """The median accuracy of every activation at every shock."""
    middle = _final(records).groupby(["schedule", "activation"], sort=False)["test_accuracy"].median()
    schedules = sorted(records.runs["schedule"].unique(), key=life.shock_factor)
    return [
        f"{schedule}: test accuracy "
        + ", ".join(f"{text} {value:.3f}" for text, value in middle[schedule].items())
        + "."
        for schedule in schedules
    ]


def _still_silent(rows: pd.DataFrame, text: str, at: int) -> str:
    struck = _recovered(rows[rows["activation"] == text], at)
    again = struck["again"].sum()
    return f"{text}: of {len(struck)} first-layer units never positive after a shock {again} are again."

"""Advice for a study: at which value to clip the gradient, and how many seeds a difference takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import at_end, by_setting, fields_before, join, setting_in_words, varying
from experiments.analysis.score import score_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

PERCENTILES = (50, 90, 95, 99, 100)
DIFFERENCES = (0.005, 0.01, 0.02, 0.05)  # of accuracy
POWER_Z = 1.959964 + 0.841621  # two-sided 5 %, power 80 %: quantiles of the normal distribution


def gradient_norms(records: Records) -> pd.DataFrame:
    """Return the norm of the whole gradient on the probe set, before clipping, per run and watched step.

    Columns: the fields of Run, step, gradient: √Σ(‖dw‖² + ‖db‖²) over layers.
    """
    layers = records.layers
    squares = layers["dw_norm"] ** 2 + layers["db_norm"] ** 2
    total = squares.groupby([layers["run_id"], layers["step"]], sort=False).sum(min_count=1)
    return join(np.sqrt(total).rename("gradient").reset_index(), records.runs)


def clip_values(records: Records) -> pd.DataFrame:
    """Return which values of `clip` would do what, from the gradient norms of the runs that finished.

    Columns: the varying fields, percentile, clip (that percentile of the norms over steps and seeds), clipped
    (the share of watched steps with a larger norm) and lr_factor (by how much clipping shortens the update in
    the median over those steps: a learning rate lower by that factor).
    """
    import pandas as pd

    done = records.runs.loc[records.runs["status"] == "ok", "run_id"]
    norms = gradient_norms(records)
    norms = norms[norms["run_id"].isin(done) & np.isfinite(norms["gradient"])]
    by, rows = varying(records.runs), []
    for key, group in by_setting(norms, by):
        values = group["gradient"].to_numpy()
        for percentile in PERCENTILES:
            clip = float(np.percentile(values, percentile))
            over = values[values > clip]
            factor = float(np.median(clip / over)) if len(over) else 1.0
            rows.append((*key, percentile, clip, len(over) / len(values), factor))
    return pd.DataFrame(rows, columns=[*by, "percentile", "clip", "clipped", "lr_factor"])


def clip_advice(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each setting of `clip_values`: a value that only shortens rare, large steps."""
    fields = fields_before(table, "percentile")
    found = []
    for key, group in by_setting(table, fields):
        name, by = setting_in_words(fields, key), group.set_index("percentile")
        typical, rare, largest = by.loc[50, "clip"], by.loc[95, "clip"], by.loc[100, "clip"]
        found.append(
            f"{name}: clip={rare:.3g} shortens {by.loc[95, 'clipped']:.0%} of the watched steps. Half of the "
            f"gradient norms lie below {typical:.3g}, the largest is {largest:.3g}. With "
            f"clip={typical / 10:.3g} the typical step would be ten times as short, which amounts to a tenth "
            "of the learning rate."
        )
    return found or ["No run finished, so there are no gradient norms to choose a value of clip from."]


def seeds_advice(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each pair of settings of `seeds_needed`."""
    if table.empty:
        return [
            "Two settings with at least three seeds in common are needed to say how many seeds are enough."
        ]
    score = table.attrs.get("compared", "test accuracy")
    return [
        f"{row['a']} against {row['b']}: the {score} differs by {row['difference']:+.3g} "
        f"(mean over {row['seeds']} seeds; the standard deviation of the paired differences is "
        f"{row['sd']:.2g}). To see a difference of 0.01, {row['to see 0.01']} seeds are needed; of "
        f"0.05, {row['to see 0.05']}."
        for row in table.to_dict("records")
    ]


def seeds_needed(records: Records, value: str = "") -> pd.DataFrame:
    """Return how many seeds tell two settings apart, from the paired differences of the seeds at hand.

    value: a column of `steps`; by default test_accuracy, or test_r2 where a number is learnt. Its words are
    in ``attrs["compared"]``.

    n = ((z_0.975 + z_0.8)·sd/difference)², rounded up and at least 2: enough to find a true difference of
    that size with probability 80 % at a two-sided level of 5 %. sd is that of the differences between runs of
    equal seed. Columns: a, b (settings in words), seeds, difference (mean of b − a), sd, then one column a
    size of DIFFERENCES. Settings that share fewer than three seeds are left out.
    """
    import pandas as pd

    score = score_of(records)
    value = value or score.test
    ends = join(at_end(records.steps[["run_id", "step", value]], records.runs), records.runs)
    by = varying(records.runs)
    values = {
        setting_in_words(by, key): group.set_index("seed")[value] for key, group in by_setting(ends, by)
    }
    rows = []
    for a, b in combinations(values, 2):
        gaps = (values[b] - values[a]).dropna()
        if len(gaps) < 3:
            continue
        needed = [needed_for(gaps.to_numpy(), size)[0] for size in DIFFERENCES]
        rows.append((a, b, len(gaps), float(gaps.mean()), float(gaps.std()), *needed))
    sizes = [f"to see {size:g}" for size in DIFFERENCES]
    found = pd.DataFrame(rows, columns=["a", "b", "seeds", "difference", "sd", *sizes])
    found.attrs["compared"] = score.words(value) if value in (score.train, score.test) else value
    return found


def needed_for(gaps: np.ndarray, size: float) -> tuple[int, int, int]:
    """Return how many pairs of seeds see a true difference of this size, and the ends of its 95 % interval.

    As in `seeds_needed`; the interval is that of the variance of the paired differences, (n − 1)s²/χ².
    Two seeds are the least.
    """
    from scipy.special import chdtri

    free = len(gaps) - 1
    variance = float(np.var(gaps, ddof=1))
    spread = (variance, *(free * variance / float(chdtri(free, upper)) for upper in (0.025, 0.975)))
    middle, low, high = (max(2, ceil(POWER_Z**2 * each / size**2)) for each in spread)
    return middle, low, high


def paired_differences(
    ends: pd.DataFrame, by: Sequence[str], value: str, least: int = 3
) -> dict[tuple[object, ...], np.ndarray]:
    """Return each setting's differences, seed by seed, from the setting with the largest mean.

    ends: a row per run with the columns `by`, seed and `value`. Settings that share fewer than `least` seeds
    with the best are left out, and so is the best.
    """
    found = {key: group.set_index("seed")[value].dropna() for key, group in by_setting(ends, by)}
    found = {key: values for key, values in found.items() if len(values) >= least}
    if not found:
        return {}
    best = max(found, key=lambda key: float(found[key].mean()))
    gaps = {key: (values - found[best]).dropna().to_numpy() for key, values in found.items() if key != best}
    return {key: each for key, each in gaps.items() if len(each) >= least}

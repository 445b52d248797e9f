"""The stability limit beside what the optimisers themselves do on a quadratic."""

import numpy as np
import pytest

from experiments.theory.stability import stability_limit
from mlp.optimisers import OPTIMISERS

RULES = ["sgd", "momentum(beta=0.5)", "momentum", "nesterov", "nesterov(beta=0.3)"]


def after(optimiser, lr, sharpness, steps=4000):
    """|θ| (n, 1) after so many steps on sharpness·θ²/2 from θ = 1, sharpness (n, 1)."""
    at, rate = np.ones_like(sharpness), np.full_like(sharpness, lr)
    step = OPTIMISERS.bind(optimiser)().start(at)
    for _ in range(steps):
        at = at + step(sharpness * at, rate, np.empty_like(at))
    return abs(at)


@pytest.mark.parametrize("lr", [0.01, 2.0])
@pytest.mark.parametrize("optimiser", RULES)
def test_steps_die_away_below_the_limit_and_grow_above_it(optimiser, lr):
    """One per cent from the limit, 4,000 steps change θ by a factor of e³ at least, whatever β is here."""
    limit = stability_limit(optimiser, lr)
    below, above = after(optimiser, lr, np.array([[0.99], [1.01]]) * limit)
    assert below < 0.05
    assert above > 20


def test_limits_worked_out_by_hand():
    assert stability_limit("sgd", 0.01) == 200
    assert stability_limit("momentum", 0.01) == pytest.approx(380)  # 2 + 2·0.9 over 0.01
    assert stability_limit("nesterov(beta=0.5)", 1.0) == pytest.approx(1.5)


def test_an_optimiser_without_a_known_limit_has_none():
    assert np.isnan(stability_limit("adam", 0.01))

"""Records of units whose lives are chosen: of ReLUs and leaky ReLUs that a shock strikes or spares."""

from dataclasses import asdict

import pandas as pd

from experiments.config import Run
from experiments.storage.records import Records

AT, STEPS = 2, (0, 2, 3, 4, 6)
SHOCK = "shock(at=2, factor=50)"
ALIVE, KILLED, BACK = (0, 0, 0, 0, 0), (0, 0, 1, 1, 1), (0, 0, 1, 0, 0)  # dead or not, by watched step
LEAKY = ("leaky_relu(slope=0.1)", "leaky_relu")


def run_of(
    act, seed, units, *, schedule=SHOCK, bias=-1.0, fall=-1.5, inactive=None, gradient=None, accuracy=0.9,
    status="ok",
):  # fmt: skip
    """One made-up run: its rows of runs, steps and units; units: {layer: states by watched step}."""
    run = Run(activation=act, depth=2, width=4, seed=seed, steps=STEPS[-1], schedule=schedule)
    name = f"{act} {seed} {schedule}"
    rows = []
    for layer, states in units.items():
        for unit, state in enumerate(states):
            silent = (inactive or units)[layer][unit]
            for i, step in enumerate(STEPS):
                after = step > AT and state[2]
                rows.append(
                    {"run_id": name, "step": step, "layer": layer, "unit": unit, "unit_dead": float(state[i]),
                     "unit_inactive": float(silent[i]),
                     "unit_bias": bias * after, "unit_z_mean": fall * after,
                     "unit_w_norm": 1.0, "unit_step_norm": 0.5,
                     "unit_gradient_norm": (0.0 if silent[i] else 1.0) if gradient is None else gradient}
                )  # fmt: skip
    diverged_at = None if status == "ok" else AT + 1
    done = {"run_id": name, **asdict(run), "status": status, "diverged_at": diverged_at, "seconds": 0.0,
            "error": ""}  # fmt: skip
    score = {"run_id": name, "step": STEPS[-1], "loss": 1.0, "accuracy": accuracy, "test_loss": 1.0,
             "test_accuracy": accuracy + 0.001 * seed, "lr": 0.1}  # fmt: skip
    return done, score, rows


def made_up(*runs):
    """Records of these runs."""
    done, scores, rows = zip(*runs, strict=True)
    units = pd.DataFrame([row for each in rows for row in each])
    return Records.build(runs=pd.DataFrame(list(done)), steps=pd.DataFrame(list(scores)), units=units)


def relus(units, seeds=range(6), **options):
    """Six ReLU networks with these lives."""
    return made_up(*(run_of("relu", seed, units, **options) for seed in seeds))


def shocked(leaky_states, gradient=0.1, accuracy=0.95, seeds=range(6)):
    """ReLU's units die for good; leaky ones are never dead, and inactive as given."""
    dead = {1: [KILLED, ALIVE], 2: [KILLED, ALIVE]}
    never = {1: [ALIVE, ALIVE], 2: [ALIVE, ALIVE]}
    inactive = {1: [leaky_states, ALIVE], 2: [leaky_states, ALIVE]}
    runs = [run_of("relu", seed, dead) for seed in seeds]
    for text in LEAKY:
        options = {"inactive": inactive, "gradient": gradient, "accuracy": accuracy}
        runs += [run_of(text, seed, never, **options) for seed in seeds]
    return made_up(*runs)

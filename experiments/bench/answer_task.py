"""A question for the part `answer` of the bench: what is trained, measured and written, whoever does it.

An entrant is a function that trains one group of runs, networks of one activation and depth that differ in
the seed, and yields what it measured at each watched step. `main` is the rest of its program: reading the
digits, tables by pandas, a figure by matplotlib.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STEPS = ("loss", "accuracy", "test_loss", "test_accuracy")
LAYERS = (
    "delta_norm", "dw_norm", "db_norm", "w_norm", "z_mean", "z_var", "a_mean", "a_var", "dead_fraction",
    "saturated_fraction", "displacement", "zero_fraction",
)  # fmt: skip
INIT = "xavier_normal"


@dataclass(frozen=True)
class Task:
    """What is asked: a grid of networks on the digits, plain SGD, and the steps at which all is measured."""

    activations: tuple[str, ...]
    depths: tuple[int, ...]
    seeds: tuple[int, ...]
    width: int
    steps: int
    batch: int
    lr: float
    dtype: str
    watched: tuple[int, ...]
    probe_set: int

    @property
    def runs(self) -> int:
        """The number of networks."""
        return len(self.activations) * len(self.depths) * len(self.seeds)


@dataclass(frozen=True)
class Digits:
    """Training and test examples, standardised."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array


@dataclass(frozen=True)
class Group:
    """Runs of one activation and depth: their task and data, first weights and batches.

    weights: by layer (R, n_in, n_out); biases start at 0. batches: (R, steps, batch) places of examples.
    """

    task: Task
    activation: str
    depth: int
    data: Digits
    weights: list[Array]
    batches: Array


@dataclass(frozen=True)
class Look:
    """What was measured at a step, by column: of `steps` (R,), of `layers` (R, depth + 1)."""

    step: int
    steps: Mapping[str, Array]
    layers: Mapping[str, Array]


Entrant = Callable[[Group], Iterable[Look]]
OfOne = tuple[int, Mapping[str, float], Mapping[str, Array]]  # a look at one run: step, its columns


def joined(each: Sequence[Sequence[OfOne]]) -> Iterator[Look]:
    """Yield, by step, what was measured of all runs, from the looks at each that was trained by itself."""
    for looks in zip(*each, strict=True):
        step, of_steps, of_layers = looks[0]
        yield Look(
            step,
            {name: np.array([steps[name] for _, steps, _ in looks]) for name in of_steps},
            {name: np.array([layers[name] for _, _, layers in looks]) for name in of_layers},
        )


def read_digits(dtype: str) -> Digits:
    """Read the digits as tutorials do: a fifth is the test set, and each feature has mean 0 and spread 1."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1
    return Digits(((x - mean) / spread).astype(dtype), y, ((x_test - mean) / spread).astype(dtype), y_test)


def groups(task: Task, data: Digits) -> Iterator[Group]:
    """Yield the groups of a task with weights and batches drawn by NumPy from each run's seed."""
    for activation, depth in product(task.activations, task.depths):
        sizes = [data.x.shape[1], *[task.width] * depth, int(data.y.max()) + 1]
        drawn = [_drawn(sizes, len(data.x), task, seed) for seed in task.seeds]
        weights = [np.stack(same) for same in zip(*(weights for weights, _ in drawn), strict=True)]
        yield Group(task, activation, depth, data, weights, np.stack([batches for _, batches in drawn]))


def _drawn(sizes: list[int], examples: int, task: Task, seed: int) -> tuple[list[Array], Array]:
    rng = np.random.default_rng(seed)
    weights = [
        (rng.standard_normal((a, b)) * np.sqrt(2 / (a + b))).astype(task.dtype)
        for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    epochs = -(-task.steps * task.batch // (examples // task.batch * task.batch))
    whole = examples // task.batch * task.batch
    order = np.concatenate([rng.permutation(examples)[:whole] for _ in range(epochs)])
    return weights, order[: task.steps * task.batch].reshape(task.steps, task.batch)


def tables(task: Task, entrant: Entrant, every: Iterable[Group]) -> dict[str, dict[str, Array]]:
    """Return the columns of the frames `steps` and `layers` that an entrant has measured."""
    frames: dict[str, dict[str, list[Array]]] = {"steps": defaultdict(list), "layers": defaultdict(list)}
    for group in every:
        for look in entrant(group):
            for name, rows in (("steps", look.steps), ("layers", look.layers)):
                shape = np.shape(next(iter(rows.values())))
                keys: dict[str, Any] = {
                    "activation": group.activation, "depth": group.depth, "step": look.step,
                    "seed": np.array(task.seeds).reshape(-1, *[1] * (len(shape) - 1)),
                }  # fmt: skip
                if name == "layers":
                    keys["layer"] = np.arange(1, group.depth + 2)
                for column, values in (keys | dict(rows)).items():
                    frames[name][column].append(np.broadcast_to(values, shape).ravel())
    return {
        name: {column: np.concatenate(parts) for column, parts in frame.items()}
        for name, frame in frames.items()
    }


def write(found: Mapping[str, Mapping[str, Array]], folder: Path) -> None:
    """Write the tables as Parquet and the gradient by layer as a figure."""
    import pandas as pd
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    frames = {name: pd.DataFrame(columns) for name, columns in found.items()}
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    start = frames["layers"].query("step == 0")
    depths = sorted(start["depth"].unique())
    figure = Figure(figsize=(3 * len(depths), 3))
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)
    for panel, depth in zip(panels[0], depths, strict=True):
        for activation, rows in start[start["depth"] == depth].groupby("activation", sort=False):
            by_layer = rows.groupby("layer")["delta_norm"]
            panel.plot(by_layer.median(), label=activation)
            panel.fill_between(by_layer.median().index, by_layer.min(), by_layer.max(), alpha=0.2)
        panel.set(yscale="log", title=f"depth {depth}", xlabel="layer")
    panels[0][0].legend()
    figure.savefig(folder / "gradient_by_layer.png", dpi=120)


def main(entrant: Entrant) -> None:
    """Be the program of an entrant: its words are a file with the task as JSON, and a folder."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    task = Task(**{key: tuple(each) if isinstance(each, list) else each for key, each in given.items()})
    write(tables(task, entrant, groups(task, read_digits(task.dtype))), Path(sys.argv[2]))

"""The one vocabulary: a key of a config is a field here, a column of the frames and an axis of a figure.

Each field carries its kind (type and range, or the table its name comes from), its meaning and its default,
once; the checks, the JSON Schema and the list of keys in configs/README.md are all read off these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from experiments.config.kinds import FolderName, Kind, ListOf, Name, OneOf, Real, Text, Watch, Whole

LARGEST_SEED = 2**63 - 1  # the frames keep it as int64
DEFAULT_FIGURES = ("gradient_by_layer",)


def key(kind: Kind | None, meaning: str, shown: str = "", **default: Any) -> Any:
    """A dataclass field that knows its kind and meaning, and how its default is shown if not as it is.

    A section, whose values are keys again, has no kind.
    """
    return field(metadata={"kind": kind, "meaning": meaning, "shown": shown}, **default)


def keys_of(owner: type) -> dict[str, Field[Any]]:
    """The fields of a class that a config may set, by name."""
    return {f.name: f for f in fields(owner) if f.metadata}


@dataclass(frozen=True)
class Run:
    """One network and its training: everything that its numbers depend on but the recording.

    A default may not change without a new `identity.SCHEMA`: a field at its default is not part of `run_id`.
    """

    activation: str = key(Name("activation"), "function of the hidden layers", default="relu")
    depth: int = key(Whole(0, 10_000), "hidden layers; 0 is a linear classifier", default=2)
    width: int = key(Whole(1, 65_536), "units of each hidden layer", default=64)
    dataset: str = key(Name("dataset"), "what is learnt, its split and its scaling", default="digits")
    init: str = key(Name("initialiser"), "how the weights are drawn", default="xavier_normal")
    bias: str = key(Name("bias"), "how the biases are drawn", default="zeros")
    loss: str = key(Name("loss"), "what is minimised, a mean over examples", default="softmax_cross_entropy")
    optimiser: str = key(Name("optimiser"), "how gradients become steps", default="sgd")
    lr: float = key(Real(0), "learning rate, before the schedule", default=0.05)
    schedule: str = key(Name("schedule"), "factor on the learning rate at each step", default="constant")
    batch: int = key(Whole(1, 2**31 - 1), "training examples an update", default=128)
    steps: int = key(Whole(0, 10**9), "updates; 0: only the initialisation is measured", default=300)
    norm: str = key(Name("norm"), "normalisation of z in the hidden layers", default="none")
    residual: float = key(
        Real(0), "0: plain layers; else a = x + residual·f(z) from hidden layer 2 on", default=0.0
    )
    clip: float | None = key(
        Real(0, above=True, optional=True),
        "largest norm of the whole gradient; null: not clipped",
        default=None,
    )
    weight_decay: float = key(Real(0), "pull of the weights (not the biases) towards 0", default=0.0)
    layer_lr: float = key(
        Real(0, above=True), "layer l learns at lr·layer_lr^(depth + 1 − l); 1: all at lr", default=1.0
    )
    dropout: float = key(
        Real(0, 0.99), "share of hidden outputs that an update leaves out; not when measured", default=0.0
    )
    dtype: str = key(OneOf(("float32", "float64")), "number format of the network", default="float64")
    seed: int = key(
        Whole(0, LARGEST_SEED), "draws weights and batches; equal seeds are paired across runs", default=0
    )


@dataclass(frozen=True)
class Recording:
    """What is measured in every run (as call-texts), when, and on which examples."""

    probes: tuple[str, ...]
    watch: int | tuple[int, ...] = 20
    trace: str = "probe_set"
    probe_set: int = 2048
    unit_probes: tuple[str, ...] = ()
    watch_costly: int = 3
    distributions: tuple[str, ...] = ()
    plane: int = 0


@dataclass(frozen=True)
class Experiment:
    """One question: a base, what is varied over it, what is measured and what is made of it."""

    question: str = key(Text(), "what this experiment asks, in a sentence", "required")
    name: str = key(
        FolderName(), "the folder of results/ that keeps the answer", "the file's name", default="notebook"
    )
    base: Run = key(None, "the fields of a run that all runs share", "as below", default=Run())
    sweep: dict[str, tuple[Any, ...]] = key(
        None, "fields of a run, each with a list; the runs are all combinations", "none", default_factory=dict
    )
    zip: dict[str, tuple[Any, ...]] = key(
        None, "fields of a run with lists of equal length that go together", "none", default_factory=dict
    )
    search: str = key(
        Name("search"),
        "looks for the depth that each combination reaches, instead of training all depths",
        default="none",
    )
    probes: tuple[str, ...] = key(
        ListOf(Name("probe")), "what is measured in every layer", "all but those on request", default=()
    )
    unit_probes: tuple[str, ...] = key(
        ListOf(Name("unit_probe")), "what is measured of every unit; a row per unit: many", default=()
    )
    distributions: tuple[str, ...] = key(
        ListOf(Name("distribution")),
        "of what the shares in each order of magnitude are counted; a row per bin: many",
        default=(),
    )
    plane: int = key(
        Whole(0, 500),
        "points along each side of the plane of two features at which each network's answer is kept; a row "
        "per point: many",
        default=Recording.plane,
    )
    watch: int | tuple[int, ...] = key(
        Watch(),
        "about how many steps to measure at, log-spaced, or which; 0 and the last are always among them",
        default=Recording.watch,
    )
    trace: str = key(
        OneOf(("probe_set", "batch")),
        "measure on one fixed set of training examples, or on each step's batch",
        default=Recording.trace,
    )
    probe_set: int = key(
        Whole(1, 10**9),
        "size of that fixed set; all training examples where there are fewer",
        default=Recording.probe_set,
    )
    watch_costly: int = key(
        Whole(2, 100_000),
        "at how many of these steps costly probes (Jacobians, ranks) are measured, first and last included",
        default=Recording.watch_costly,
    )
    figures: tuple[str, ...] = key(ListOf(Name("figure")), "what is drawn", default=DEFAULT_FIGURES)
    claims: tuple[str, ...] = key(
        ListOf(Name("claim")),
        "what is judged; where all are checks, which read no records, and no field of a run is set, nothing "
        "is trained",
        default=(),
    )
    path: Path | None = None
    text: str = ""
    cautions: tuple[str, ...] = field(default=(), compare=False)  # what is allowed but may be a slip

    @property
    def recording(self) -> Recording:
        """What decides, with the run, which numbers are stored."""
        return Recording(**{f.name: getattr(self, f.name) for f in fields(Recording)})

    def size(self) -> int:
        """How many runs there are, without making them."""
        rows = len(next(iter(self.zip.values()))) if self.zip else 1
        return rows * prod(map(len, self.sweep.values()))

    def only(self, *keys: str) -> Experiment:
        """The same experiment swept over these keys alone."""
        return replace(self, sweep={key: values for key, values in self.sweep.items() if key in keys})

    def combinations(self) -> Iterator[dict[str, Any]]:
        """What each run sets on top of `base`: zip is the slowest axis, the last swept key the fastest."""
        rows = zip(*self.zip.values(), strict=True) if self.zip else [()]
        for row in rows:
            together = dict(zip(self.zip, row, strict=True))
            for values in product(*self.sweep.values()):
                yield together | dict(zip(self.sweep, values, strict=True))

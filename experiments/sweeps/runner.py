"""Train and measure one stack of runs and return its Records. Nothing is written or printed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from experiments import datasets
from experiments.config import Recording, Run
from experiments.storage.identity import costly_steps, is_costly, run_id, watched_steps
from experiments.storage.records import PROBED, Records
from experiments.storage.shipping import unpack
from experiments.sweeps.blas import blas, maker_while_training
from mlp.network import Network, create
from mlp.probes import PROBES, UNIT_PROBES
from mlp.probes.distributions import DISTRIBUTIONS, histograms
from mlp.trace import LayerTrace
from mlp.train import Data, Snapshot, train

FIELDS = tuple(field.name for field in fields(Run))
MEASURED = ("loss", "accuracy", "test_loss", "test_accuracy", "lr")  # columns of `steps`, fields of Snapshot
CHANGED = (
    "the data differ from those that this sweep was planned with: the file has changed since, or a worker "
    "reads another file; run the same command again to plan with the data as they are now"
)


def run_stack(
    runs: Sequence[Run],
    recording: Recording,
    prints: Mapping[str, str] | None = None,
    beat: Callable[[int], None] = lambda steps: None,
    own: bytes = b"",
    lesion: Callable[[Network], None] | None = None,
    until: int | None = None,
) -> Records:
    """Train together runs that differ only in the fields `stacks.STACKED`, with one BLAS thread.

    A run's rows are the same, bit for bit, alone or in any stack, order or process. Only `seconds` differs:
    it is the stack's time divided by its runs, without the reading of the data set. ``runs.attrs["maker"]``
    of the result is this process as a maker.
    `lesion` may change the drawn networks in place before they are trained. `until` is the last watched step
    that is measured; by default all are.
    `prints` are the expected fingerprints by data set. `beat` is called when a part of the work is done, with
    the number of training steps in the next part, 0 where that is a measurement.
    `own` are the user's parts, packed for a worker. Errors: DataError, also where a fingerprint differs.
    """
    if own:
        unpack(own)
    data = datasets.load(runs[0].dataset)
    if prints is not None and data.fingerprint != prints[runs[0].dataset]:
        raise datasets.DataError(f"{data.name}: {CHANGED}")
    began = time.perf_counter()
    with blas().limit(limits=1, user_api="blas"):
        columns = _Columns(runs, recording, data)
        watched = watched_steps(recording.watch, runs[0].steps)
        for snap, following in zip(
            _train(runs, recording, data, lesion), (*watched[1:], watched[-1]), strict=False
        ):
            beat(0)
            columns.add(snap)
            if snap.step == until:
                break
            beat(following - snap.step)
        by = maker_while_training()
    records = columns.records((time.perf_counter() - began) / len(runs))
    records.runs.attrs["maker"] = by
    return records


def _train(
    runs: Sequence[Run],
    recording: Recording,
    data: datasets.Dataset,
    lesion: Callable[[Network], None] | None,
) -> Iterator[Snapshot]:
    """Train the stack and yield a snapshot at each watched step."""
    shared = runs[0]
    seeds = [run.seed for run in runs]
    net = create(
        (data.x.shape[1], *[shared.width] * shared.depth, data.classes),
        shared.activation,
        seeds=seeds,
        init=[run.init for run in runs],
        bias=[run.bias for run in runs],
        dtype=shared.dtype,
        norm=shared.norm,
        residual=shared.residual,
    )
    if lesion is not None:
        lesion(net)
    return train(
        net,
        Data(data.x, data.y, data.x_test, data.y_test),
        seeds=seeds,
        lr=[run.lr for run in runs],
        steps=shared.steps,
        batch=shared.batch,
        watch=set(watched_steps(recording.watch, shared.steps)),
        loss=shared.loss,
        optimiser=shared.optimiser,
        schedule=shared.schedule,
        clip=shared.clip,
        weight_decay=shared.weight_decay,
        layer_lr=shared.layer_lr,
        dropout=shared.dropout,
        trace=recording.trace,
        probe_set=recording.probe_set,
    )


class _Columns:
    """The measurements of a stack, collected as arrays; the frames are built once, at the end."""

    def __init__(self, runs: Sequence[Run], recording: Recording, data: datasets.Dataset) -> None:
        self.runs, self.recording, self.fingerprint = runs, recording, data.fingerprint
        self.points = datasets.plane(data, recording.plane) if recording.plane else None
        self.scores = _scores_of(data, recording)
        self.probes = {text: PROBES.bind(text) for text in recording.probes}
        self.costly = {text for text in recording.probes if is_costly(text)}
        self.costly_at = costly_steps(recording, runs[0].steps)
        self.unit_probes = {text: UNIT_PROBES.bind(text) for text in recording.unit_probes}
        self.distributions = {text: DISTRIBUTIONS.bind(text) for text in recording.distributions}
        self.steps: dict[str, list[Any]] = defaultdict(list)
        self.layers: dict[str, list[Any]] = defaultdict(list)
        self.units: dict[str, list[Any]] = defaultdict(list)
        self.bins: dict[str, list[Any]] = defaultdict(list)
        self.plane: dict[str, list[Any]] = defaultdict(list)
        self.diverged_at = np.full(len(runs), -1)

    def add(self, snap: Snapshot) -> None:
        """Add a snapshot: a row per run to `steps`, a row per run and layer to `layers`, and so on."""
        places = np.arange(len(self.runs))
        measured = {name: getattr(snap, name) for name in MEASURED}
        measured |= self.scores(snap)
        _append(self.steps, places, {"step": snap.step}, measured)
        needs_layers = self.probes or self.unit_probes or self.distributions or self.points is not None
        for trace in snap.layers if needs_layers else ():
            with np.errstate(all="ignore"):  # a diverging run is recorded by its NaN, not by a warning
                self._add_layer(trace, places[trace.runs], snap.step)
        self.diverged_at = np.array(snap.diverged_at)

    def _add_layer(self, trace: LayerTrace, runs: Any, step: int) -> None:
        """Add the rows of a trace; `runs` are the places of its runs in the stack."""
        layer = np.broadcast_to(trace.layer, len(runs))
        if self.probes:
            values = {text: self._measured(text, trace, step) for text in self.probes}
            _append(self.layers, runs, {"step": step, "layer": layer}, values)
        if self.unit_probes:
            units = trace.z.shape[-1]
            unit = np.tile(np.arange(units), len(runs))
            keys = {"step": step, "layer": layer.repeat(units), "unit": unit}
            shape = len(trace.w), units
            flat = {text: _fit(text, probe(trace), shape).ravel() for text, probe in self.unit_probes.items()}
            _append(self.units, runs.repeat(units), keys, flat)
        if self.distributions:
            shares = histograms(trace, self.distributions)
            row, edge, subnormal = (shares.pop(name) for name in ("row", "bin", "subnormal"))
            keys = {"step": step, "layer": layer[row], "bin": edge, "subnormal": subnormal}
            _append(self.bins, runs[row], keys, shares)
        if trace.layer == 1 and self.points is not None:
            self._add_plane(trace, runs, step)

    def _add_plane(self, trace: LayerTrace, runs: Any, step: int) -> None:
        """Add what the trace's networks answer at each point of the plane."""
        assert trace.tape is not None
        net, x = trace.tape.net, self.points
        logits = net.predict(x.astype(net.params.dtype), trace.tape.moments).astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        sure = 1 / np.exp(logits).sum(axis=-1)  # the softmax of the largest logit
        answer = np.where(np.isnan(sure), np.nan, logits.argmax(axis=-1))
        keys = {"step": step, "point": np.tile(np.arange(len(x)), len(runs))}
        x1, x2 = np.tile(x, (len(runs), 1)).T
        values = {"x1": x1, "x2": x2, "answer": answer.ravel(), "probability": sure.ravel()}
        _append(self.plane, runs.repeat(len(x)), keys, values)

    def _measured(self, text: str, trace: LayerTrace, step: int) -> Any:
        """Return a probe's values, (R,); NaN at a step at which a costly probe is not measured."""
        if text in self.costly and step not in self.costly_at:
            return np.full(len(trace.w), np.nan)
        return _fit(text, self.probes[text](trace), (len(trace.w),))

    def records(self, seconds: float) -> Records:
        """Return the records; a diverged run keeps its rows up to the step at which it diverged."""
        ids = np.array([run_id(run, self.recording, self.fingerprint) for run in self.runs])
        diverged = self.diverged_at >= 0
        runs: dict[str, Any] = {name: [getattr(run, name) for run in self.runs] for name in FIELDS}
        runs |= {
            "run_id": ids,
            "status": np.where(diverged, "diverged", "ok"),
            "diverged_at": [int(at) if at >= 0 else None for at in self.diverged_at],
            "seconds": np.full(len(ids), seconds),
            "error": [""] * len(ids),
        }
        last = np.where(diverged, self.diverged_at, np.iinfo(np.int64).max)
        frames = {name: getattr(self, name) for name in ("steps", *PROBED)}
        return Records.build(runs=runs, **{name: _joined(f, ids, last) for name, f in frames.items()})


def _scores_of(data: datasets.Dataset, recording: Recording) -> Callable[[Snapshot], dict[str, Any]]:
    """Return what makes the columns of `records.SCORES` of a snapshot; none where there are classes."""
    if not data.is_regression:
        return lambda snap: {}
    seen = data.y if recording.trace == "batch" else data.y[: recording.probe_set]
    variance, test_variance = (float(np.var(y)) or np.nan for y in (seen, data.y_test))

    def scores(snap: Snapshot) -> dict[str, Any]:
        return {
            "r2": 1 - snap.loss / variance,
            "rmse": np.sqrt(snap.loss) * data.unit,
            "test_r2": 1 - snap.test_loss / test_variance,
            "test_rmse": np.sqrt(snap.test_loss) * data.unit,
        }

    return scores


def _fit(probe: str, values: Any, shape: tuple[int, ...]) -> Any:
    """Return what a probe gives; errors: ValueError where it is not one number per run, or run and unit."""
    if np.shape(values) != shape:
        wanted = "run" if len(shape) == 1 else "run and unit"
        raise ValueError(
            f"{probe} gives an array of shape {np.shape(values)}, and not one number per {wanted}: {shape}"
        )
    return values


def _append(frame: dict[str, list[Any]], runs: Any, keys: dict[str, Any], values: dict[str, Any]) -> None:
    """Append rows to a frame's columns; `runs` are the places of the rows' runs in the stack."""
    frame["run"].append(runs)
    for name, key in keys.items():
        frame[name].append(np.broadcast_to(key, len(runs)))
    for name, value in values.items():
        frame[name].append(np.array(value, np.float64))  # a copy, because the engine reuses its buffer


def _joined(frame: dict[str, list[Any]], ids: Any, last: Any) -> dict[str, Any]:
    """Join each column's pieces, keep each run's rows up to its `last` step and name the runs by id."""
    columns = {name: np.concatenate(parts) for name, parts in frame.items()}
    if not columns:
        return {}
    run = columns.pop("run")
    kept = columns["step"] <= last[run]
    return {"run_id": ids[run[kept]], **{name: column[kept] for name, column in columns.items()}}

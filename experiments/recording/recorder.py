"""The recorder: arrays of a foreign network at some steps of its training -> Records, stored like our own."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from experiments.config.vocabulary import Run, keys_of
from experiments.recording.arrays import NOT_GIVEN, Layer, RecordingError, read_layers
from experiments.recording.consistency import check, gradient_notes
from experiments.recording.facts import data_facts_of, start_facts
from experiments.recording.recorded_traces import Missing, measured, trace_of, values
from experiments.storage.identity import SCHEMA
from experiments.storage.provenance import facts
from experiments.storage.recorded import RECORDED, recorded_facts, with_notes
from experiments.storage.records import Records
from experiments.storage.store import Store
from mlp.activations import Array
from mlp.probes import DEFAULT_PROBES, DISTRIBUTIONS, PROBES, UNIT_PROBES
from mlp.probes.distributions import histograms
from mlp.registry import did_you_mean
from mlp.trace import LayerTrace

FIGURE, ITS_PROBES = "gradient_by_layer", {"delta_norm", "dw_norm"}  # drawn where no figure is asked for
FROM_THE_ARRAYS = ("depth", "width", "batch", "steps", "dtype", "norm")  # fields that nobody states
UNSTATED = ("dataset", "init", "bias", "loss", "optimiser")


class Recorder:
    """Records one network of another program: `record` at each step of interest, then `save`.

    name: the folder in results/ that it is stored in; recorders of one name and other settings (another
    seed, say) are stored together. activation: of the hidden layers, as a call-text of this program, such as
    ``leaky_relu(slope=0.1)``; without one, what needs a slope is left out.
    settings: fields of a run, as they are in the other program. Those that are stated in the words of this
    program are used: `dataset`, `init`, `bias` and `loss` by theory. depth, width, batch, steps, dtype and
    norm are read off the arrays.
    examples: all training inputs and labels, (N, …) and (N,), for the diagnosis; only figures that sum them
    up are stored. reachable: the training accuracy that a good network reaches on them, if it is known.
    Errors: RecordingError; RegistryError for an unknown probe.
    """

    def __init__(
        self,
        name: str,
        *,
        activation: str = RECORDED,
        question: str = "",
        probes: Sequence[str] = DEFAULT_PROBES,
        unit_probes: Sequence[str] = (),
        distributions: Sequence[str] = (),
        figures: Sequence[str] | None = None,
        examples: tuple[Any, Any] | None = None,
        reachable: float = 1.0,
        **settings: Any,
    ) -> None:
        self.store = Store(name)
        if self.store.manifest() and not recorded_facts(self.store):
            raise RecordingError(
                f"{self.store.folder}: holds an experiment that was trained here; give another name"
            )
        self._settings = _stated({"activation": activation} | settings)
        self.question = question or f"What happens in the recorded network {name}?"
        self.figures, self.reachable, self._examples = figures, reachable, examples
        self._probes = {text: PROBES.bind(text) for text in probes}
        self._unit_probes = {text: UNIT_PROBES.bind(text) for text in unit_probes}
        self._distributions = {text: DISTRIBUTIONS.bind(text) for text in distributions}
        self.notes: dict[str, None] = {}  # what was found out about the arrays, each sentence once
        self._steps: dict[str, list[Any]] = defaultdict(list)
        self._frames: dict[str, list[dict[str, Any]]] = {"layers": [], "units": [], "bins": []}
        self._reasons: dict[str, dict[str, None]] = defaultdict(dict)  # by probe, why some layers have none
        self._first: list[Layer] = []
        self._inputs: Array | None = None
        self._w0: dict[str, Array] = {}
        self._counts: set[int] = set()
        self._is_plain = True
        self._diverged_at: int | None = None

    def record(
        self,
        step: int,
        layers: Mapping[Any, Mapping[str, Any]],
        *,
        loss: Any,
        accuracy: Any = np.nan,
        test_loss: Any = np.nan,
        test_accuracy: Any = np.nan,
        lr: Any = np.nan,
        labels: Any = None,
        scale: float | Mapping[str, float] = 1.0,
    ) -> None:
        """Measure the network as it is after `step` updates of the optimiser; the arrays are not kept.

        layers: from the input to the output, by name, or by (name, call) where a module is used several times
        in one pass. Each has, as far as there are: x (B, n_in), z and delta = dLoss/dz (B, n_out), a, slope;
        w, dw and step (n_in, n_out), step being the update that follows; b, db (n_out,); activation. None for
        a parameter without a gradient. Examples of more axes are flattened; of w the last axis is the units.
        loss: the mean over the examples. labels: (B,) of the same examples, from which the accuracy is worked
        out where the last z has a logit for each class. scale: what the gradients are multiplied by (of mixed
        precision); {"delta": 1024.0} where it is delta alone.
        Errors: RecordingError, before anything of this step is kept.
        """
        if self._diverged_at is not None:
            return  # as of a network trained here, a run ends with the step at which it diverges
        self._check_step(step)
        found = read_layers(layers, scale)
        self._check_same(found)
        inputs = found[0].arrays.get("x")
        check(found, self._settings["activation"])
        notes = gradient_notes(found)
        if labels is not None:
            accuracy = _accuracy(found[-1], labels)
        numbers = {
            "loss": loss,
            "accuracy": accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "lr": lr,
        }
        row = {name: _number(name, value) for name, value in numbers.items()}
        if not self._first:
            self._inputs = inputs
        self._keep(step, found, row, [*notes, *(note for layer in found for note in _told(layer))])

    def _keep(self, step: int, found: list[Layer], row: Mapping[str, float], notes: Sequence[str]) -> None:
        if not self._first:
            self._first = found
            self._w0 = {layer.name: layer.arrays["w"] for layer in found if "w" in layer.arrays}
        self.notes |= dict.fromkeys(notes)
        self._is_plain &= _is_plain(found)
        self._counts |= {len(layer.arrays["z"]) for layer in found if "z" in layer.arrays}
        for name, value in {"step": step, **row}.items():
            self._steps[name].append(value)
        for number, layer in enumerate(found, start=1):
            self._measure(step, number, layer)
        if not np.isfinite(row["loss"]):
            self._diverged_at = step

    def _check_step(self, step: int) -> None:
        if isinstance(step, bool) or int(step) != step or step < 0:
            raise RecordingError(f"step: {step!r} is not a whole number from 0")
        before = self._steps["step"][-1:]
        if before and step <= before[0]:
            raise RecordingError(
                f"step: {step} was recorded after {before[0]}; count the updates of the optimiser, and "
                "record once for each, not for each of the batches that are accumulated"
            )

    def _check_same(self, found: list[Layer]) -> None:
        """Check that the layers are those that were recorded first."""
        names, before = [layer.name for layer in found], [layer.name for layer in self._first]
        if self._first and names != before:
            raise RecordingError(
                f"layers: {', '.join(names)}; at the first recorded step they were {', '.join(before)}"
            )
        for layer in found:
            w, w0 = layer.arrays.get("w"), self._w0.get(layer.name)
            if w is not None and w0 is not None and w.shape != w0.shape:
                raise RecordingError(f"layer {layer.name}: w is {w.shape}; it was {w0.shape}")

    def _measure(self, step: int, number: int, layer: Layer) -> None:
        """Add the rows of one layer."""
        trace = trace_of(layer, number, self._w0.get(layer.name))
        keys = {"step": step, "layer": number}
        numbers, reasons = values(self._probes, trace, layer)
        self._frames["layers"].append(keys | numbers)
        for text, why in reasons.items():
            self._reasons[text][f"layer {layer.name}: {why}"] = None
        self._extra("units", self._unit_probes, layer, lambda: self._units(trace, layer, keys))
        self._extra(
            "bins", self._distributions, layer, lambda: _bins(trace, layer, self._distributions, keys)
        )

    def _extra(
        self, frame: str, wanted: Mapping[str, Any], layer: Layer, rows: Callable[[], list[dict[str, Any]]]
    ) -> None:
        """Add the rows of an optional frame, all or, where an array lacks, none of a layer."""
        if not wanted:
            return
        try:
            self._frames[frame] += rows()
        except Missing as missing:
            for text in wanted:
                self._reasons[text][f"layer {layer.name}: {missing}"] = None

    def _units(self, trace: LayerTrace, layer: Layer, keys: Mapping[str, int]) -> list[dict[str, Any]]:
        """Return a row for each unit; NaN of a probe whose array lacks. Errors: Missing, of all probes."""
        if not layer.dense:
            raise Missing("units are told apart in dense layers alone")
        rows: list[dict[str, Any]] = [{**keys, "unit": u} for u in range(layer.arrays["z"].shape[1])]
        for text, probe in self._unit_probes.items():
            try:
                column = measured(probe, trace, layer)[0]
            except Missing as missing:
                column = np.full(len(rows), np.nan)
                self._reasons[text][f"layer {layer.name}: {missing}"] = None
            for row, value in zip(rows, column, strict=True):
                row[text] = float(value)
        return rows

    # The result -------------------------------------------------------------------------------------------

    def run(self) -> Run:
        """Return the settings of the network, those read off the arrays included."""
        if not self._first:
            raise RecordingError("nothing was recorded: call record(step, layers, loss=…) first")
        widths = [_units_of(layer) for layer in self._first]
        given = self._first[0].formats
        read = {
            "depth": len(self._first) - 1,
            "width": max(widths[:-1], default=widths[-1]),
            "batch": max(self._counts, default=0),
            "steps": int(self._steps["step"][-1]),
            "dtype": given.get("w", given.get("z", "float64")),
            "norm": "none" if self._is_plain and len(set(widths[:-1])) <= 1 else RECORDED,
        }
        return Run(**(self._with_rate() | read))

    def _with_rate(self) -> dict[str, Any]:
        """Return what was stated, with the learning rate of the first recorded step where none was."""
        first = self._steps["lr"][:1]
        unstated = self._settings["lr"] != self._settings["lr"]  # NaN
        return self._settings | ({"lr": first[0]} if unstated and first else {})

    def records(self) -> Records:
        """Return what was recorded, as the frames of an experiment; nothing is stored.

        ``runs.attrs["recorded"]`` has what was found of the network, by run, and ``layers.attrs["left_out"]``
        why a probe has no numbers.
        """
        run, left_out = self.run(), self.left_out()
        columns: dict[str, Any] = {name: [value] for name, value in asdict(run).items()}
        columns |= {
            "run_id": [self.run_id], "status": ["ok" if self._diverged_at is None else "diverged"],
            "diverged_at": [self._diverged_at], "seconds": [np.nan], "error": [""],
        }  # fmt: skip
        frames = {name: _columns(rows) for name, rows in self._frames.items()}
        for frame in ("layers", "units"):
            frames[frame] = {name: column for name, column in frames[frame].items() if name not in left_out}
        frames["steps"] = dict(self._steps)
        ids = {n: {"run_id": [self.run_id] * len(f["step"])} | f for n, f in frames.items() if f}
        records = Records.build(runs=columns, **ids)
        records.runs.attrs |= {"experiment": self.store.folder.name, "asked": 1}
        return with_notes(records, {self.run_id: self._facts()})

    @property
    def run_id(self) -> str:
        """The run's name: a hash of the experiment's name and of what was stated of the network."""
        stated = {name: value for name, value in self._with_rate().items() if value == value}  # no NaN
        text = json.dumps([RECORDED, self.store.folder.name, stated], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def left_out(self) -> dict[str, str]:
        """Return why each probe that no layer has a number of is left out."""
        found = {}
        for text, reasons in self._reasons.items():
            rows = [row for frame in self._frames.values() for row in frame if text in row]
            if all(np.isnan(row[text]) for row in rows):
                found[text] = next(iter(reasons))
        return found

    def save(self) -> Records:
        """Store what was recorded in results/NAME, and return it as `records` does. Errors: StoreError.

        A network with the same settings that was recorded before is replaced.
        """
        records = self.records()
        with self.store.sweep():
            self.store.save(records)
            known = recorded_facts(self.store) | records.runs.attrs[RECORDED]
            config: dict[str, Any] = {"question": self.question, "probes": list(records.probes)}
            config["figures"] = list(self._drawn(records))
            config["runs"] = [each["settings"] for each in known.values()]
            self.store.write_manifest(
                name=self.store.folder.name, schema=SCHEMA, question=self.question, config=config,
                runs=len(known), data={}, recorded=known, **facts(),
            )  # fmt: skip
        return records

    def _facts(self) -> dict[str, Any]:
        """Return what the manifest keeps of this run."""
        return {
            "settings": {k: None if v != v else v for k, v in asdict(self.run()).items()},
            "layers": [layer.name for layer in self._first],
            "measured_on": self._measured_on(),
            "left_out": self.left_out(),
            "notes": list(self.notes),
            "data": data_facts_of(self._first, self._inputs, self._examples),
            "reachable": self.reachable,
            "start": start_facts(self._first),
        }

    def _drawn(self, records: Records) -> Sequence[str]:
        """Return the figures that plot.py draws where it is given none."""
        if self.figures is not None:
            return self.figures
        return (FIGURE,) if set(records.probes) >= ITS_PROBES else ()

    def _measured_on(self) -> str:
        low, high = min(self._counts, default=0), max(self._counts, default=0)
        size = (
            f"{low} examples"
            if low == high
            else f"{low} to {high} examples, so ‖delta‖ also changes with their number"
        )
        return f"what was recorded at each step, {size}"


def _stated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a run that the arrays do not tell; errors: RecordingError."""
    known = keys_of(Run)
    for name in settings:
        if name in FROM_THE_ARRAYS:
            raise RecordingError(f"{name}: is read off the arrays; leave it out")
        if name not in known:
            raise RecordingError(
                f"unknown setting {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}"
            )
        wanted = str(known[name].type)
        fits = str if wanted == "str" else int if wanted == "int" else (int, float)
        if not isinstance(settings[name], fits) and not (settings[name] is None and "None" in wanted):
            raise RecordingError(f"{name}: {settings[name]!r} is not of the type {wanted}")
    plain = asdict(Run()) | dict.fromkeys(UNSTATED, RECORDED) | {"lr": np.nan}
    return {k: v for k, v in (plain | dict(settings)).items() if k not in FROM_THE_ARRAYS}


def _told(layer: Layer) -> list[str]:
    """Return what is to be said of a layer: how it was read, and which arrays it lacks for a reason."""
    lacks = [f"layer {layer.name}: no {n}: {why}" for n, why in layer.missing.items() if why != NOT_GIVEN]
    return layer.notes + lacks


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RecordingError(f"{name}: {value!r} is not one number") from None


def _accuracy(output: Layer, labels: Any) -> float:
    """Return the share of examples whose largest logit is their label's; errors: RecordingError."""
    y, z = np.asarray(labels), output.arrays.get("z")
    if z is None or y.shape != (len(z),):
        logits = "no z" if z is None else f"z of {len(z)} examples"
        raise RecordingError(f"labels: of the shape {y.shape}, and the last layer has {logits}")
    return float((z.argmax(axis=1) == y).mean())


def _is_plain(layers: Sequence[Layer]) -> bool:
    """Return whether every layer was seen to be x·w + b of the activation of the one below."""
    named = [layer.activation for layer in layers[:-1]]
    whole = all(layer.dense and not layer.notes for layer in layers)
    return whole and all("a" in layer.arrays for layer in layers) and len(set(named)) <= 1


def _units_of(layer: Layer) -> int:
    return next((layer.arrays[n].shape[1] for n in ("w", "z", "a", "delta") if n in layer.arrays), 0)


def _bins(
    trace: Any, layer: Layer, quantities: Mapping[str, Any], keys: Mapping[str, int]
) -> list[dict[str, Any]]:
    found = measured(lambda t: histograms(t, quantities), trace, layer)
    columns = {name: column for name, column in found.items() if name != "row"}
    return [{**keys, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}

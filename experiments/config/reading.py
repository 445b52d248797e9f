"""YAML -> Experiment: every check of user input, before anything is trained or written.

All that is wrong is collected and shown at once, each with its place, its key and the likely intention:
``configs/x.yaml:7:3: sweep.activation[2]: activation 'leaky_relu' has no option 'slop'; it takes slope: …``.
A config is data: nothing in it is evaluated or imported.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, Field, asdict, replace
from pathlib import Path
from typing import Any

from experiments.config.kinds import FolderName, Kind, ListOf, probe_kind, table
from experiments.config.matching import claim_fault, figure_fault, only_checks
from experiments.config.overrides import SECTIONS, apply_override
from experiments.config.shipped import found_config, shipped_configs
from experiments.config.tree import ConfigError, Fault, Faults, Node, Place, join, node_of, plain, shown
from experiments.config.vocabulary import Experiment, Run, keys_of
from experiments.config.yaml_strict import LARGEST, read
from mlp.registry import call_text, did_you_mean, parse_call

MOST_RUNS = 1_000_000  # planned in a minute and a gigabyte; more is a slip of the keyboard
_BROKEN = object()  # stands for a value at fault; None is a value


def load(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Experiment:
    """The experiment that a file describes, with ``key=value`` overrides; errors: ConfigError."""
    path = found_config(Path(path))
    source = str(path) if str(path).isprintable() else shown(str(path))
    data = _read_file(path, source)
    root, found = read(data, source)
    if root is None:
        found = found or [Fault(Place(source), "", "empty; configs/README.md lists the keys")]
        raise ConfigError([str(fault) for fault in found])
    return _experiment(root, path.stem, found, overrides, path=path, text=data.decode("utf-8-sig"))


def from_mapping(
    mapping: Mapping[str, Any], name: str = "notebook", overrides: Iterable[str] = ()
) -> Experiment:
    """The experiment that a dict of the same keys describes; errors: ConfigError."""
    try:
        root = node_of(mapping, Place(""))
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    return _experiment(root, name, [], overrides)


def to_mapping(experiment: Experiment) -> dict[str, Any]:
    """The resolved config as plain data, defaults and all: `from_mapping` makes the same experiment of it."""
    found = {key: getattr(experiment, key) for key in keys_of(Experiment)}
    searched = () if experiment.search == "none" else ("depth",)
    elsewhere = {*experiment.sweep, *experiment.zip, *searched}
    found["base"] = {k: v for k, v in asdict(experiment.base).items() if k not in elsewhere}
    for section in ("sweep", "zip"):
        found[section] = {key: list(values) for key, values in found[section].items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _read_file(path: Path, source: str) -> bytes:
    """The file's bytes, of too large a file a byte more than is read anyway; errors: ConfigError."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                return file.read(LARGEST + 1)
        what = f"{'a folder' if stat.S_ISDIR(mode) else 'a device'}, not a config file"
    except FileNotFoundError:
        what = f"no such file.{did_you_mean(source[-200:], _configs(path.parent))}"
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ConfigError([f"{source}: {what}"])


def _configs(folder: Path) -> list[str]:
    """The configs beside a missing one, and those that are shipped."""
    try:
        shipped = [f"configs/{path.name}" for path in shipped_configs().glob("*.yaml")]
        return sorted({*map(str, folder.glob("*.yaml")), *shipped})
    except OSError:
        return []


def _experiment(
    root: Node, name: str, found: list[Fault], overrides: Iterable[str], **origin: Any
) -> Experiment:
    faults = Faults()
    for fault in found:
        faults.add(*fault)
    if not (isinstance(root.value, dict) and "name" in root.value):
        _check_name(name, root, faults)
    if not isinstance(root.value, dict):
        faults.add(root.place, "", f"{shown(root.value)}, not lines of key: value such as question: …")
        faults.raise_if_any()
    overrides = list(overrides)
    for text in overrides:
        for fault in apply_override(root, text):
            faults.add(*fault)
    values = _top_level(root, faults) | _sections(root, faults)
    faults.raise_if_any()
    experiment = Experiment(**{"name": name, **values}, **origin)
    _check_search(experiment, root, faults)
    _check_files(experiment, root, faults)
    _check_size(experiment, root, faults)
    _check_dropout(experiment, root, faults)
    overridden = {text.partition("=")[0].strip().rpartition(".")[2] for text in overrides}
    changes_runs = not overridden.isdisjoint({*keys_of(Run), *SECTIONS})  # another name or claim does not
    is_files_own = changes_runs and "figures" not in overridden
    experiment = _check_figures(experiment, root, faults, is_files_own)
    _check_claims(experiment, root, faults)
    faults.raise_if_any()
    return experiment


def _check_name(name: str, root: Node, faults: Faults) -> None:
    """A file's name becomes a folder in results/, unless the config names itself."""
    try:
        FolderName().read(name)
    except ValueError as error:
        faults.add(Place(root.place.source), "", str(error))


def _top_level(root: Node, faults: Faults) -> dict[str, Any]:
    """The values of the keys that are no sections."""
    known = keys_of(Experiment)
    _check_keys(root, "", known, keys_of(Run), "a field of a run stands under base or sweep", faults)
    values = {}
    for key, field in known.items():
        if key not in SECTIONS and key in root.value:
            values[key] = _read(field, root.value[key], key, faults)
        elif field.default is MISSING and field.default_factory is MISSING:
            faults.add(root.place, key, f"missing; {field.metadata['meaning']}")
    if "probes" not in root.value:
        from mlp.probes import DEFAULT_PROBES

        values["probes"] = tuple(DEFAULT_PROBES)
    return values


def _sections(root: Node, faults: Faults) -> dict[str, Any]:
    """Base, sweep and zip, each key in one of them."""
    values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    readers = {"base": _read_base, "sweep": _read_swept, "zip": _read_list}
    placed: dict[str, str] = {}
    for name in SECTIONS:
        section = root.value.get(name, Node({}, root.place))
        if not isinstance(section.value, dict):
            faults.add(section.place, name, f"{shown(section.value)}, not lines of key: value")
            continue
        _check_keys(section, name, keys_of(Run), keys_of(Experiment), "it stands at the top level", faults)
        for key, node in section.value.items():
            if placed.setdefault(key, name) != name:
                text = f"stands under {placed[key]} too; a key has one place"
                faults.add(section.keys[key], join(name, key), text)
            if key in keys_of(Run):
                values[name][key] = readers[name](keys_of(Run)[key], node, join(name, key), faults)
    _check_zip(root, values["zip"], faults)
    return values | {"base": replace(Run(), **values["base"])}


def _check_keys(
    node: Node, path: str, known: Collection[str], others: Collection[str], where: str, faults: Faults
) -> None:
    for key, place in node.keys.items():
        if key in others and key not in known:
            faults.add(place, join(path, key), f"unknown key here; {where}")
        elif key not in known:
            near = did_you_mean(key[:60], known) or f" Known: {', '.join(known)}"
            faults.add(place, join(path, key), f"unknown key.{near}")


def _read(field: Field[Any], node: Node, path: str, faults: Faults) -> Any:
    """A value checked by its field's kind; a list item by item, so that each has its own place."""
    kind: Kind = field.metadata["kind"]
    if not (isinstance(kind, ListOf) and isinstance(node.value, list)):
        return _read_item(kind, node, path, faults)
    items = [_read_item(kind.item, item, join(path, i), faults) for i, item in enumerate(node.value)]
    _check_twice(node.value, items, path, faults)
    return tuple(items)


def _read_item(kind: Kind, node: Node, path: str, faults: Faults) -> Any:
    try:
        return kind.read(plain(node))
    except ValueError as error:
        is_cut = isinstance(node.value, str) and node.value.count("(") > node.value.count(")")
        more = "; inside [ ] or { }, a text with a comma in it needs quotes" if is_cut else ""
        faults.add(node.place, path, f"{error}{more}")
        return _BROKEN


def _read_base(field: Field[Any], node: Node, path: str, faults: Faults) -> Any:
    if isinstance(node.value, list):
        faults.add(node.place, path, f"a list; to run each of its values, put {field.name} under sweep")
        return _BROKEN
    return _read_item(field.metadata["kind"], node, path, faults)


def _read_list(field: Field[Any], node: Node, path: str, faults: Faults) -> tuple[Any, ...]:
    if not isinstance(node.value, list):
        text = f"{shown(node.value)}, not a list; a single value stands under base"
        faults.add(node.place, path, text)
        return ()
    if not node.value:
        faults.add(node.place, path, "an empty list: there would be nothing to run")
    kind = field.metadata["kind"]
    return tuple(_read_item(kind, item, join(path, i), faults) for i, item in enumerate(node.value))


def _read_swept(field: Field[Any], node: Node, path: str, faults: Faults) -> tuple[Any, ...]:
    values = _read_list(field, node, path, faults)
    if values:
        _check_twice(node.value, values, path, faults)
    return values


def _check_twice(nodes: list[Node], values: Iterable[Any], path: str, faults: Faults) -> None:
    first: dict[Any, int] = {}
    for index, (item, value) in enumerate(zip(nodes, values, strict=True)):
        if value is not _BROKEN and first.setdefault(value, index) != index:
            text = f"{shown(value)} is listed twice, first as {join(path, first[value])}"
            faults.add(item.place, join(path, index), text)


def _check_zip(root: Node, rows: dict[str, tuple[Any, ...]], faults: Faults) -> None:
    """Lists under zip have one length, and no row stands twice."""
    lengths = {key: len(values) for key, values in rows.items()}
    for key, length in lengths.items():
        first = next(iter(lengths))
        if length != lengths[first]:
            text = f"{length} values where {first} has {lengths[first]}; lists under zip go together"
            faults.add(root.value["zip"].value[key].place, f"zip.{key}", text)
            return
    seen: dict[tuple[Any, ...], int] = {}
    for index, row in enumerate(zip(*rows.values(), strict=True)):
        if _BROKEN not in row and seen.setdefault(row, index) != index:
            place = root.value["zip"].value[next(iter(rows))].value[index].place
            faults.add(place, f"zip, row [{index}]", f"the same values as in row [{seen[row]}]")


def _check_search(experiment: Experiment, root: Node, faults: Faults) -> None:
    """A search sets the depth itself, and tries every setting with every seed."""
    if experiment.search == "none":
        return
    sections = {name: root.value[name] for name in SECTIONS if name in root.value}
    for name, section in sections.items():
        if "depth" in section.value:
            text = "searched for (see search), so it is not set here; shallowest and deepest bound it there"
            faults.add(section.keys["depth"], f"{name}.depth", text)
    if "seed" in experiment.zip:
        text = "a search tries every setting with every seed: put them under sweep"
        faults.add(root.value["zip"].keys["seed"], "zip.seed", text)


def _check_files(experiment: Experiment, root: Node, faults: Faults) -> None:
    """That no two files with equal contents are swept over: their runs would be the same."""
    from experiments.datasets import fingerprint

    listed = experiment.sweep.get("dataset", ())
    first: dict[tuple[str, str], int] = {}
    for index, text in enumerate(listed if sum("path=" in text for text in listed) > 1 else ()):
        name, options = parse_call(text)
        key = (call_text(name, {k: v for k, v in options.items() if k != "path"}), fingerprint(text))
        if "path" in options and first.setdefault(key, index) != index:
            path = f"sweep.dataset[{index}]"
            text = f"{shown(text)} has the same contents as sweep.dataset[{first[key]}]: it is listed twice"
            faults.add(root.value["sweep"].value["dataset"].value[index].place, path, text)


def _check_size(experiment: Experiment, root: Node, faults: Faults) -> None:
    """The number of runs, and each batch against the data it is drawn from."""
    if experiment.size() > MOST_RUNS:
        text = f"{experiment.size()} runs; at most {MOST_RUNS} are planned"
        faults.add(root.value.get("sweep", root).place, "sweep", text)
        return
    from experiments.datasets import training_size

    sizes: dict[str, int | None] = {}
    for setting in experiment.only("dataset", "batch").combinations():
        dataset = setting.get("dataset", experiment.base.dataset)
        batch = setting.get("batch", experiment.base.batch)
        if dataset not in sizes:
            sizes[dataset] = training_size(dataset)
        size = sizes[dataset]
        if size is not None and batch > size:
            place, path = _where(root, "batch", batch)
            faults.add(place, path, f"{batch} examples a batch, but {dataset} has {size} to train on")


def _check_figures(experiment: Experiment, root: Node, faults: Faults, overridden: bool) -> Experiment:
    """That a figure's runs and probes are there; of the default figures, those that can be drawn are kept.

    A figure of the file whose runs an override has taken away is no fault: it is left out, with a caution.
    """
    lacking = {figure: _not_recorded("figure", figure, experiment) for figure in experiment.figures}
    if "figures" not in root.value:
        if only_checks(undrawn := replace(experiment, figures=())):
            return undrawn
        return replace(experiment, figures=tuple(name for name, probes in lacking.items() if not probes))
    lost = []
    for index, (figure, probes) in enumerate(lacking.items()):
        place, path = root.value["figures"].value[index].place, f"figures[{index}]"
        if probes:
            faults.add(place, path, f"{figure} draws {_to_add(probes)}")
        if fault := figure_fault(figure, experiment):
            if overridden:
                lost.append(figure)
            else:
                faults.add(place, path, f"{figure}: {fault}")
    told = [f"{figure} is not drawn: {figure_fault(figure, experiment)}" for figure in lost]
    kept = tuple(figure for figure in experiment.figures if figure not in lost)
    return replace(experiment, figures=kept, cautions=(*experiment.cautions, *told))


def _check_dropout(experiment: Experiment, root: Node, faults: Faults) -> None:
    """That no network with units left out is traced."""
    listed = experiment.sweep.get("dropout", experiment.zip.get("dropout", (experiment.base.dropout,)))
    dropped = [share for share in listed if share]
    if dropped and experiment.trace == "batch":
        text = "trace: batch would measure networks with units left out; use trace: probe_set with dropout"
        place, path = _where(root, "dropout", dropped[0])
        faults.add(place, path, text)


def _check_claims(experiment: Experiment, root: Node, faults: Faults) -> None:
    """That what a claim reads is recorded, and that there are several values of what it compares."""
    for index, claim in enumerate(experiment.claims):
        place, path = root.value["claims"].value[index].place, f"claims[{index}]"
        name, _ = parse_call(claim)
        if probes := _not_recorded("claim", claim, experiment):
            faults.add(place, path, f"{name} reads {_to_add(probes)}")
        for field in getattr(table("claim")[name], "varies", ()):
            if not _varies(experiment, field):
                text = f"{name} compares runs that differ in {field}: list several values of it under sweep"
                faults.add(place, path, text)
        if fault := claim_fault(claim, experiment):
            faults.add(place, path, f"{name}: {fault}")


def _not_recorded(kind: str, text: str, experiment: Experiment) -> list[str]:
    """The probes that a figure or a claim declares as its needs and that the config does not record."""
    asked = (*experiment.probes, *experiment.unit_probes, *experiment.distributions)
    recorded = {parse_call(probe)[0] for probe in asked} | ({"plane"} if experiment.plane else set())
    needs = getattr(table(kind)[parse_call(text)[0]], "needs", ())
    return [probe for probe in needs if probe not in recorded]


def _to_add(probes: list[str]) -> str:
    if probes[0] == "plane":
        return "plane: add plane: 40, for 40 points along each side"
    return f"{', '.join(probes)}: add that to the {probe_kind(probes[0])}s"


def _varies(experiment: Experiment, field: str) -> bool:
    """Whether runs differ in a field; a search tries several depths by itself."""
    values = experiment.sweep.get(field, experiment.zip.get(field, ()))
    return len(set(values)) > 1 or (field == "depth" and experiment.search != "none")


def _where(root: Node, key: str, value: Any) -> tuple[Place, str]:
    """Where a checked value was written, or the file where it is the default."""
    for name in SECTIONS:
        node = root.value[name].value.get(key) if name in root.value else None
        if node is not None and name == "base":
            return node.place, f"base.{key}"
        for index, item in enumerate(node.value if node else ()):
            if item.value == value:
                return item.place, f"{name}.{key}[{index}]"
    return Place(root.place.source), f"base.{key} (its default)"

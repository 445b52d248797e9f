"""Which runs figures and claims are about: whether the experiment has those that they name, or needs any."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from typing import Any

from experiments.config.kinds import Name, table
from experiments.config.run_filter import listed, no_such_run, told_twice, wanted
from experiments.config.vocabulary import Experiment, Run, keys_of
from mlp.registry import Registry, parse_call


def only_checks(experiment: Experiment) -> bool:
    """Return whether nothing is to be trained: what is asked for are checks, and no field of a run is set.

    Checks are claims that read no records (`claims.check`), and figures that do not
    (`figure_table.without_records`) may stand beside them.
    """
    sets = experiment.base != Run() or experiment.sweep or experiment.zip or experiment.search != "none"
    return (
        not sets
        and bool(experiment.claims)
        and not any(
            [
                *(not _says(table("claim"), text, "is_check") for text in experiment.claims),
                *(not _says(table("figure"), text, "without_records") for text in experiment.figures),
            ]
        )
    )


def _says(names: Registry, text: str, fact: str) -> bool:
    """Return whether the part that a call-text names has declared this of itself."""
    return bool(getattr(names[parse_call(text)[0]], fact, False))


def figure_fault(text: str, experiment: Experiment) -> str:
    """What a figure's hue, facet and where ask for that no run has, in words; "" where there is nothing."""
    figures = table("figure")
    name, given = figures.parse(text)
    options = {key: p.default for key, p in figures.options(name).items()} | given
    along = getattr(figures[name], "along", ())
    fault = told_twice(options.get("hue"), options.get("facet"), along)
    return fault or _not_met(options.get("where") or "", experiment)


def _not_met(where: str, experiment: Experiment) -> str:
    """Why no run is what `where` asks for; of a search, whose depths are found, depths are not looked at."""
    asked = {field: values for field, values in wanted(where).items() if not _is_searched(field, experiment)}
    for field, values in asked.items():
        there = values_of(field, experiment)
        for value in values:
            if value not in there:
                return f"where: {no_such_run(field, value, there)}"
    for setting in experiment.only(*asked).combinations():
        run = vars(experiment.base) | setting
        if all(run[field] in values for field, values in asked.items()):
            return ""
    return f"where: no run has all of {where.removeprefix('runs')}"


def _is_searched(field: str, experiment: Experiment) -> bool:
    return field == "depth" and experiment.search != "none"


def values_of(field: str, experiment: Experiment) -> tuple[Any, ...]:
    """The values that an experiment's runs have in a field, in the order of the config."""
    given = experiment.sweep.get(field) or experiment.zip.get(field) or (getattr(experiment.base, field),)
    return tuple(dict.fromkeys(given))


def claim_fault(text: str, experiment: Experiment) -> str:
    """Which call-text that is given to a claim no run has, in words; "" where there is none.

    Looked at are the options that are texts of a table of which runs have a field, such as activations, and
    only in claims that declare what they need of the records: others make networks of their own.
    """
    claims = table("claim")
    name, given = claims.parse(text)
    if not (getattr(claims[name], "needs", ()) or getattr(claims[name], "varies", ())):
        return ""
    for key, value in given.items():
        field = _field_of(claims.options(name)[key].annotation)
        if not field or value == claims.options(name)[key].default:
            continue
        there = values_of(field, experiment)
        for each in listed(value):
            if each not in there:
                return f"{key}: {no_such_run(field, each, there)}"
    return ""


def _field_of(annotation: Any) -> str:
    """The field of a run whose texts an option takes; "" where it takes none."""
    read_by = {id(rule) for part in _parts(annotation) for rule in getattr(part, "__metadata__", ())}
    for field, key in keys_of(Run).items():
        kind = key.metadata["kind"]
        if isinstance(kind, Name) and id(table(kind.kind)) in read_by:
            return field
    return ""


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in _inner(annotation):
        yield from _parts(part)


def _inner(annotation: Any) -> Iterable[Any]:
    return () if hasattr(annotation, "__metadata__") else typing.get_args(annotation)

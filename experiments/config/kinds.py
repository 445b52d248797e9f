"""The kinds of value that a config may hold: each reads a value, describes itself, and is a JSON Schema.

They are ours rather than a validation library's, because the messages are part of the interface (value,
choices, likely intention) and because importing such a library costs a third of the 0.3 s in which a config
error has to be on the screen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from inspect import Parameter, signature
from math import isfinite
from typing import Any

from experiments.config.tree import shown
from experiments.config.yaml_strict import plain_scalar
from experiments.datasets.user_code import failed
from mlp.registry import PROJECT, Registry, did_you_mean, in_words

# Where each table of names lives. A module is imported when a name is looked up and not before, for a config
# names figures and claims although their modules stand above this one.
TABLES = {
    "activation": ("mlp.activations", "ACTIVATIONS"),
    "initialiser": ("mlp.initialisers", "INITIALISERS"),
    "bias": ("mlp.initialisers", "BIASES"),
    "loss": ("mlp.losses", "LOSSES"),
    "optimiser": ("mlp.optimisers", "OPTIMISERS"),
    "schedule": ("mlp.schedules", "SCHEDULES"),
    "norm": ("mlp.norms", "NORMS"),
    "dataset": ("experiments.datasets", "DATASETS"),
    "probe": ("mlp.probes", "PROBES"),
    "unit_probe": ("mlp.probes", "UNIT_PROBES"),
    "distribution": ("mlp.probes.distributions", "DISTRIBUTIONS"),
    "search": ("experiments.sweeps.search.bisection", "SEARCHES"),
    "figure": ("experiments.plots", "FIGURES"),
    "claim": ("experiments.claims", "CLAIMS"),
}


MADE = {  # what the factories of a table return
    "activation": "mlp.activations.Activation",
    "initialiser": "mlp.initialisers.Initialiser",
    "bias": "mlp.initialisers.Initialiser",
    "optimiser": "mlp.optimisers.Optimiser",
    "norm": "mlp.norms.Norm",
    "schedule": "collections.abc.Callable",
    "dataset": "experiments.datasets.catalogue.Source",
}
RESERVED = {"readme", "log", "reliability", "bench", "write_up", "literature"}  # shared names in results/
FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(\+[A-Za-z0-9_.,=+-]{1,79})?")


def table(kind: str) -> Registry:
    """The registry that holds the names of one kind."""
    module, name = TABLES[kind]
    return getattr(import_module(module), name)


def probe_kind(name: str) -> str:
    """The table that a probe of this name stands in: the layers', the units' or the distributions'."""
    return next(kind for kind in ("probe", "unit_probe", "distribution") if name in table(kind))


@lru_cache(maxsize=4096)
def resolve(kind: str, text: str) -> str:
    """The one spelling of a call-text whose name, options and ranges its table accepts; else ValueError."""
    names = table(kind)
    bound = names.bind(text)
    needs = [p for p in signature(bound).parameters.values() if p.default is Parameter.empty]
    if not needs:  # a factory, which checks its options' ranges; a data set's looks for its files, unread
        try:
            _check_made(kind, bound())
        except ValueError:
            raise
        except Exception as error:
            if bound.func.__module__.partition(".")[0] in PROJECT:
                raise
            raise ValueError(failed(f"{kind} {text}", error)) from None
    return names.canonical(text)


def _check_made(kind: str, made: Any) -> None:
    """Check that a factory returns what its table is of, which a forgotten `return` does not."""
    if kind in MADE and not (kind == "norm" and made is None):  # no normalisation
        module, _, name = MADE[kind].rpartition(".")
        if not isinstance(made, getattr(import_module(module), name)):
            raise TypeError(f"it returns {made!r:.60}, which is no {name}")


@dataclass(frozen=True)
class Whole:
    """A whole number in a range."""

    low: int
    high: int

    def read(self, value: Any) -> int:
        """The value, or a ValueError that says what it is not."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise ValueError(f"{shown(value)} is not {self}{self._hint(value)}")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _hint(self, value: Any) -> str:
        """For 1e3, 1_000 and '1000', which people write for 1000."""
        if isinstance(value, str):
            value = plain_scalar(value.replace("_", "")) if len(value) < 20 else None
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        near = number and value == int(value) and self.low <= value <= self.high
        return f". Did you mean {int(value)}?" if near else ""

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Real:
    """A number from `low` (or, if `above`, anything above it) to `high`; null where `optional`."""

    low: float
    high: float = 1e12  # far beyond any use, and in the range of float32
    above: bool = False
    optional: bool = False

    def read(self, value: Any) -> float | None:
        """The value as a float, or a ValueError that says what it is not."""
        if value is None and self.optional:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self.low <= value <= self.high and not (self.above and value == self.low):
            return float(value) + 0.0  # −0.0 becomes 0.0: one number, one run
        raise ValueError(f"{shown(value)} is not {self}")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        kind = ["number", "null"] if self.optional else "number"
        return {"type": kind, "exclusiveMinimum" if self.above else "minimum": self.low, "maximum": self.high}

    def __str__(self) -> str:
        low = f"above {self.low:g} and up to" if self.above else f"from {self.low:g} to"
        return f"a number {low} {self.high:g}{', or null' if self.optional else ''}"


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    def read(self, value: Any) -> str:
        """The value, or a ValueError that lists the choices."""
        if isinstance(value, str) and value in self.choices:
            return value
        near = did_you_mean(value[:60], self.choices) if isinstance(value, str) else ""
        raise ValueError(f"{shown(value)} is not {self}{'.' if near else ''}{near}")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": list(self.choices)}

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True)
class FolderName:
    """The name of an experiment, which is that of its folder in results/ and may not lead out of it."""

    def read(self, value: Any) -> str:
        """The name, or a ValueError. After a + may stand what a variant changes: ``tiny+depth=2,4``."""
        if not isinstance(value, str) or not FOLDER.fullmatch(value):
            raise ValueError(f"the name {shown(value)} cannot be a folder of results/; {self}")
        if value.lower() in RESERVED:
            raise ValueError(f"the name {value!r} is taken in results/; choose another")
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "pattern": f"^{FOLDER.pattern}$"}

    def __str__(self) -> str:
        return "a name has up to 100 letters, digits, _, - and ., the first not ."


@dataclass(frozen=True)
class Text:
    """Any words."""

    def read(self, value: Any) -> str:
        """The words in one line, or a ValueError."""
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
        raise ValueError(f"{shown(value)} is not {self}")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "minLength": 1}

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True)
class Name:
    """A call-text such as ``leaky_relu(slope=0.1)``, resolved against a table of names."""

    kind: str

    def read(self, value: Any) -> str:
        """The one spelling of the call-text, or a ValueError with what its table has."""
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not {self}")
        return resolve(self.kind, value)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema: the bare names, for completion, or one of them with options, in their ranges."""
        names = table(self.kind)
        known = sorted([*names, *names.aliases])
        ranges = {name: _ranges(names, name) for name in sorted(names) if names.options(name)}
        described = [{"const": name, "description": said} for name, said in ranges.items()]
        plain = {"enum": [name for name in known if name not in ranges]}
        pattern = {"type": "string", "pattern": f"^({'|'.join(known)})\\("}
        return {"anyOf": [*([plain] if plain["enum"] else []), *described, pattern]}

    def __str__(self) -> str:
        return table(self.kind).words


def _ranges(names: Registry, name: str) -> str:
    """What each option of an entry may be, in words."""
    return "; ".join(f"{key}: {in_words(p.annotation)}" for key, p in names.options(name).items())


@dataclass(frozen=True)
class ListOf:
    """A list, each item of one kind and none twice."""

    item: Whole | Name

    def read(self, value: Any) -> tuple[Any, ...]:
        """The items read, or the first one's ValueError."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"{shown(value)} is not {self}")
        items = tuple(map(self.item.read, value))
        if len(set(items)) < len(items):
            raise ValueError(f"{next(shown(i) for i in items if items.count(i) > 1)} is listed twice")
        return items

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "array", "items": self.item.schema(), "uniqueItems": True}

    def __str__(self) -> str:
        return f"a list, each {self.item}"


@dataclass(frozen=True)
class Watch:
    """How many steps are watched, or which."""

    count: Whole = Whole(2, 100_000)
    steps: ListOf = ListOf(Whole(0, 10**9))

    def read(self, value: Any) -> int | tuple[int, ...]:
        """A count, or the steps in order; or a ValueError."""
        if isinstance(value, list | tuple):
            return tuple(sorted(self.steps.read(value)))
        return self.count.read(value)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"anyOf": [self.count.schema(), self.steps.schema()]}

    def __str__(self) -> str:
        return f"{self.count}, or a list of steps"


Kind = Whole | Real | OneOf | FolderName | Text | Name | ListOf | Watch

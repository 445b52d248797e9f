"""A named table filled by decoration and read by name or call-text.

One class serves every table of the project: activations, initialisers, probes, datasets, claims, figures.
A call-text such as ``leaky_relu(slope=0.1)`` is data: it is parsed, never evaluated.

The type of an option says what it may be, and every text is checked against it:

```python
@ACTIVATIONS
def leaky_relu(slope: Annotated[float, Within(0, 1, above=True)] = 0.01) -> Activation: ...

@CLAIMS
def W04_gradient_shrinks(
    records: Records, *, activation: Annotated[str, ACTIVATIONS] = "sigmoid", lost: Share = 0.001
) -> Verdict: ...
```

`Within` is the range of a number. A table stands for the texts that it reads, which are spelled as it
spells them. A ``list[…]`` holds one item or more and none twice. `Literal`, `bool` and `| None` are as in
Python.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import sys
import textwrap
import types
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from math import inf, isfinite
from typing import Annotated, Any

LONGEST_TEXT = 500  # a call-text is a few words; the parser's memory grows with what it is fed
PROJECT = {"mlp"}  # the packages whose parts no other part may replace; one that has tables adds its name
PATH = re.compile(r"[A-Za-z_][\w-]*([./][\w-]+)+")  # read without quotes, written with them
LONGEST_SHOWN = 100  # characters of a value in a message
LONGEST_NUMBER = 40  # digits; int("9" * 5000) is an error of Python's own, and slow below that


class RegistryError(ValueError):
    """A name or an option that its table does not have; the message says what it does have."""


def _forget() -> None:
    """Clear every cache of this project: it may hold what a part computed that has been replaced."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PROJECT:
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


def doc_of(function: Callable[..., Any]) -> str:
    """Return a docstring without its indentation, from the source where ``python -OO`` has dropped it."""
    text = inspect.getdoc(function)
    if text is None and sys.flags.optimize > 1:
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
            text = ast.get_docstring(tree) if isinstance(tree, ast.FunctionDef) else None
    return text or ""


@dataclass(frozen=True)
class Within:
    """The range of a number: from `low` to `high`, less the end that `above` or `below` leaves out."""

    low: float = -inf
    high: float = inf
    above: bool = False  # the number is above `low`
    below: bool = False  # the number is below `high`

    def __contains__(self, value: float) -> bool:
        """Whether a number lies in the range; NaN lies in none."""
        return self.low <= value <= self.high and not (
            (self.above and value == self.low) or (self.below and value == self.high)
        )

    def __str__(self) -> str:
        if self.high == inf:
            return f"{'above' if self.above else 'of at least'} {_plainly(self.low)}"
        joined = "to below" if self.below else "up to" if self.above else "to"
        joined = f"and {joined.removeprefix('to ')}" if self.above else joined
        return f"{'above' if self.above else 'from'} {_plainly(self.low)} {joined} {_plainly(self.high)}"


Share = Annotated[float, Within(0, 1)]
Positive = Annotated[float, Within(0, 1e12, above=True)]
Count = Annotated[int, Within(1, 1_000_000_000)]


def _plainly(number: float) -> str:
    return f"{number:.10g}"


def did_you_mean(word: str, choices: typing.Iterable[str]) -> str:
    """`` Did you mean 'width'?`` or the empty text."""
    near = get_close_matches(word, list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name(option=value, …)`` into the name and its options; errors: RegistryError.

    A value is a literal, a list of values, a bare name (taken as text) or another call-text.
    """
    _check_length(text)
    if text.isidentifier():
        return text, {}
    try:
        with warnings.catch_warnings():  # Python's own remarks on an odd literal would reach the terminal
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        quote = "; a path stands in quotes, as in path='../iris.csv'" if "/" in text or "\\" in text else ""
        raise RegistryError(f"{text!r} is not of the form name or name(option=value, …){quote}") from None
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        raise RegistryError(f"{text!r} is not of the form name or name(option=value, …)")
    if tree.args:
        raise RegistryError(f"{text!r}: options are given by name, as in {tree.func.id}(option=value)")
    options: dict[str, Any] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise RegistryError(f"{text!r}: '**' is not read")
        if keyword.arg in options:
            raise RegistryError(f"{text!r}: option {keyword.arg!r} is given twice")
        try:
            options[keyword.arg] = _value(keyword.value, text)
        except RecursionError:
            raise RegistryError(f"{text!r} is nested too deeply") from None
    return tree.func.id, options


def call_text(name: str, options: dict[str, Any]) -> str:
    """The one spelling of a call: no spaces in it but after commas, options in the order given."""
    if not options:
        return name
    return f"{name}({', '.join(f'{key}={_spell(value)}' for key, value in options.items())})"


class Registry(dict[str, Callable[..., Any]]):
    """A table of functions; used as a decorator it adds one under the function's own name.

    `aliases` are other people's names for entries: ``{"swish": "silu"}``. A text may use them; the one
    spelling is the entry's own.
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]  # a table equals itself alone, so a type may name it
    shared: frozenset[str] = frozenset()  # options that every entry has, told once and not with each

    def __init__(self, kind: str, aliases: Mapping[str, str] = types.MappingProxyType({})) -> None:
        super().__init__()
        self.kind = kind
        self.aliases = dict(aliases)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register `function` and hand it back unchanged; one of its name that was there before is replaced.

        Errors: RegistryError where that one is this project's own.
        """
        name = function.__name__
        if name in self.aliases:
            raise RegistryError(f"{self.kind} {name!r} is another name for {self.aliases[name]}")
        before = self.get(name)
        if before is not None and before is not function:
            module = before.__module__ or ""
            if module.partition(".")[0] in PROJECT and module != function.__module__:
                raise RegistryError(f"{self.kind} {name!r} is this project's own; give yours another name")
            _forget()
        self[name] = function
        return function

    def __missing__(self, name: str) -> Callable[..., Any]:
        hint = did_you_mean(name, [*self, *self.aliases])
        raise RegistryError(f"unknown {self.kind} {name!r}.{hint} Known: {', '.join(sorted(self))}")

    @property
    def words(self) -> str:
        """What a text of this table is, in words."""
        return f"the name of {'an' if self.kind[0] in 'aio' else 'a'} {self.kind}"

    def bind(self, text: str) -> partial[Any]:
        """The function that a call-text names, with its options filled in, checked and spelled one way."""
        name, options = self.parse(text)
        return partial(self[name], **options)

    def canonical(self, text: str) -> str:
        """The one spelling of a checked call-text: options in the signature's order, defaults left out.

        ``leaky_relu( slope = .1 )`` is ``leaky_relu(slope=0.1)`` and ``leaky_relu(slope=0.01)`` is
        ``leaky_relu``, so that two spellings of one thing are one run.
        """
        name, options = self.parse(text)
        known = self.options(name)
        kept = {key: options[key] for key, p in known.items() if key in options and options[key] != p.default}
        spelled = call_text(name, kept)
        _check_length(spelled)
        return spelled

    def parse(self, text: str) -> tuple[str, dict[str, Any]]:
        """The entry that a call-text names and the options given there; errors: RegistryError."""
        name, given = parse_call(text)
        name = self.aliases.get(name, name)
        known = self.options(name)
        options = {}
        for key, value in given.items():
            if key not in known:
                takes = "; ".join(map(_declare, known.values())) or "no options"
                hint = did_you_mean(key, known)
                raise RegistryError(f"{self.kind} {name!r} has no option {key!r}; it takes {takes}.{hint}")
            try:
                options[key] = fitted(value, known[key].annotation)
            except RegistryError as error:
                raise RegistryError(f"{self.kind} {name!r}: option {key} is {_cut(value)}{error}") from None
        return name, options

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The named function's options: its keyword-only parameters, or those that have a default."""
        return _options(self[name])


# What an option may be ------------------------------------------------------------------------------------


def fitted(value: Any, allowed: Any) -> Any:
    """A value as an option of this type keeps it; errors: RegistryError, which goes on after the value."""
    base, rules = _apart(allowed)
    origin, parts = typing.get_origin(base), typing.get_args(base)
    if origin in (typing.Union, types.UnionType):
        value = _fitted_to_one(value, parts, allowed)
    elif origin is list:
        value = _fitted_list(value, parts[0], allowed)
    elif not (_is_a(value, base) and all(value in rule for rule in rules if isinstance(rule, Within))):
        raise RegistryError(f", which is not {in_words(allowed)}{_intended(value, allowed)}")
    for rule in rules:
        if hasattr(rule, "canonical"):
            try:
                value = rule.canonical(value)
            except ValueError as error:
                raise RegistryError(f": {error}") from None
    return float(value) + 0.0 if base is float else value  # 1 is 1.0, and −0.0 is 0.0


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _apart(allowed: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and what `Annotated` adds to it."""
    rules = getattr(allowed, "__metadata__", ())
    return (allowed.__origin__ if rules else allowed), rules


def _fitted_to_one(value: Any, parts: Sequence[Any], whole: Any) -> Any:
    """The value as the first type that it fits keeps it."""
    errors = []
    for part in parts:
        try:
            return fitted(value, part)
        except RegistryError as error:
            errors.append(str(error))
    read = [error for error in errors if error.startswith(": ")]  # the right type, and its table refuses it
    if read:
        raise RegistryError(read[0])
    raise RegistryError(f", which is not {in_words(whole)}{_intended(value, whole)}")


def _fitted_list(value: Any, item: Any, whole: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RegistryError(f", which is not {in_words(whole)}")
    if not value:
        raise RegistryError(", an empty list: it needs one item or more, or is left out")
    found = []
    for each in value:
        try:
            found.append(fitted(each, item))
        except RegistryError as error:
            raise RegistryError(f": {_cut(each)}{error}" if str(error)[0] == "," else str(error)) from None
        if found.count(found[-1]) > 1:
            raise RegistryError(f": {_spell(found[-1])} is listed twice")
    return found


def _is_a(value: Any, base: Any) -> bool:
    """Whether a value is of a type that is neither a union nor a list; a truth value is no number."""
    if typing.get_origin(base) is typing.Literal:
        return value in typing.get_args(base)
    if base is None or base is type(None):
        return value is None
    if base in (int, float):
        return isinstance(value, int if base is int else int | float) and not isinstance(value, bool)
    return isinstance(value, base) if isinstance(base, type) and base is not inspect.Parameter.empty else True


def in_words(allowed: Any) -> str:
    """What values a type allows, in words: ``a number above 0 and up to 1``."""
    base, rules = _apart(allowed)
    origin, parts = typing.get_origin(base), typing.get_args(base)
    named = [rule if isinstance(rule, str) else rule.words for rule in rules if not isinstance(rule, Within)]
    if named:
        return str(named[0])
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(in_words, parts))
    if origin is list:
        return f"a list, each item {in_words(parts[0])}"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return " ".join([names.get(base, "null"), *map(str, rules)])


def _intended(value: Any, allowed: Any) -> str:
    """The value that may have been meant: a near word, 1000 for 1e3, 0.05 for a share of 5."""
    base, rules = _apart(allowed)
    parts = typing.get_args(base)
    if typing.get_origin(base) is typing.Literal:
        near = did_you_mean(value[:60], parts) if isinstance(value, str) else ""
        return f".{near}" if near else ""
    if parts:
        return next(filter(None, (_intended(value, part) for part in parts)), "")
    if isinstance(value, bool) or not isinstance(value, int | float) or base not in (int, float):
        return ""
    meant = value / 100 if base is float else int(value)
    is_meant = meant == value if base is int else value > 1 and any(rule.high == 1 for rule in rules)
    is_meant = is_meant and all(meant in rule for rule in rules)
    return f". Did you mean {_spell(meant)}?" if is_meant else ""


def _check_length(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise RegistryError(f"a name of {len(text)} characters; at most {LONGEST_TEXT} are read")


@cache
def _options(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the options with their annotations evaluated; those of other parameters are left as they are.

    So a function may name a type there that is imported for type checkers alone. Read once for each function:
    a sweep of 10,000 runs asks 100,000 times.
    """
    found = {
        key: p
        for key, p in inspect.signature(function).parameters.items()
        if p.kind is p.KEYWORD_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty)
    }
    named = {key: p.annotation for key, p in found.items() if p.annotation is not p.empty}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    kinds = typing.get_type_hints(types.SimpleNamespace(__annotations__=named), names, include_extras=True)
    return {key: p.replace(annotation=kinds.get(key, p.empty)) for key, p in found.items()}


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "null": None}.get(node.id, node.id)
    if isinstance(node, ast.Call):
        return call_text(*parse_call(ast.unparse(node)))
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, text) for item in node.elts]
    if isinstance(node, ast.Attribute | ast.BinOp):  # Python's reading of iris.csv and data/iris.csv
        source = ast.get_source_segment(text.strip(), node) or ""
        if PATH.fullmatch(source):
            return source
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise RegistryError(f"{text!r}: {ast.unparse(node)!r} is not a number, text or list") from None
    if not isinstance(value, bool | int | float | str | None):
        raise RegistryError(f"{text!r}: {ast.unparse(node)!r} is not a number, text or list")
    if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
        raise RegistryError(f"{text!r}: a number of more than {LONGEST_NUMBER} digits")
    if isinstance(value, float) and not isfinite(value):
        raise RegistryError(f"{text!r}: {ast.unparse(node)!r} is larger than any number")
    return value


def _spell(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_spell(item) for item in value)}]"
    if isinstance(value, str) and _is_plain(value):
        return value
    if isinstance(value, float) and abs(value) < 1e15 and value == int(value):
        return repr(int(value))  # 2.0 and 2 are one spelling, whatever the option's declared type
    return repr(value)


def _is_plain(text: str) -> bool:
    """Whether a text may stand without quotes and still be read back as itself."""
    if PATH.fullmatch(text):
        return False
    try:
        return parse_call(f"_(_={text})") == ("_", {"_": text})
    except RegistryError:
        return False


def _declare(parameter: inspect.Parameter) -> str:
    """``slope=0.01 (a number above 0 and up to 1)``."""
    default = "" if parameter.default is parameter.empty else f"={_spell(parameter.default)}"
    return f"{parameter.name}{default} ({in_words(parameter.annotation)})"

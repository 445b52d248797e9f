"""A named table filled by decoration and read by name or call-text.

One class serves every table of the project: activations, initialisers, probes, datasets, claims, figures.
A call-text such as ``leaky_relu(slope=0.1)`` is data: it is parsed, never evaluated.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import sys
import textwrap
import types
import typing
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, partial
from math import isfinite
from typing import Any

LONGEST_TEXT = 500  # a call-text is a few words; the parser's memory grows with what it is fed
PROJECT = {"mlp"}  # the packages whose parts no other part may replace; one that has tables adds its name
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
        raise RegistryError(f"{text!r} is not of the form name or name(option=value, …)") from None
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
    """A table of functions; used as a decorator it adds one under the function's own name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register `function` and hand it back unchanged; one of its name that was there before is replaced.

        Errors: RegistryError where that one is this project's own.
        """
        name = function.__name__
        before = self.get(name)
        if before is not None and before is not function:
            module = before.__module__ or ""
            if module.partition(".")[0] in PROJECT and module != function.__module__:
                raise RegistryError(f"{self.kind} {name!r} is this project's own; give yours another name")
            _forget()
        self[name] = function
        return function

    def __missing__(self, name: str) -> Callable[..., Any]:
        raise RegistryError(
            f"unknown {self.kind} {name!r}.{did_you_mean(name, self)} Known: {', '.join(sorted(self))}"
        )

    def bind(self, text: str) -> partial[Any]:
        """The function that a call-text names, with its options filled in and checked."""
        name, options = parse_call(text)
        function = self[name]
        known = self.options(name)
        for key, value in options.items():
            if key not in known:
                takes = ", ".join(_declare(p) for p in known.values()) or "no options"
                hint = did_you_mean(key, known)
                raise RegistryError(f"{self.kind} {name!r} has no option {key!r}; it takes {takes}.{hint}")
            self._check_type(name, known[key], value)
        return partial(function, **options)

    def canonical(self, text: str) -> str:
        """The one spelling of a checked call-text: options in the signature's order, defaults left out.

        ``leaky_relu( slope = .1 )`` is ``leaky_relu(slope=0.1)`` and ``leaky_relu(slope=0.01)`` is
        ``leaky_relu``, so that two spellings of one thing are one run.
        """
        self.bind(text)
        name, options = parse_call(text)
        known = self.options(name)
        kept = {
            key: _as_declared(p, options[key])
            for key, p in known.items()
            if key in options and options[key] != p.default
        }
        spelled = call_text(name, kept)
        _check_length(spelled)
        return spelled

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The named function's options: its keyword-only parameters, or those that have a default."""
        return _options(self[name])

    def _check_type(self, name: str, parameter: inspect.Parameter, value: Any) -> None:
        allowed = parameter.annotation
        if allowed is parameter.empty or _fits(value, allowed):
            return
        raise RegistryError(
            f"{self.kind} {name!r}: option {parameter.name} is {value!r}, which is not {_type_name(allowed)}"
        )


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
    kinds = typing.get_type_hints(types.SimpleNamespace(__annotations__=named), names)
    return {key: p.replace(annotation=kinds.get(key, p.empty)) for key, p in found.items()}


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "null": None}.get(node.id, node.id)
    if isinstance(node, ast.Call):
        return call_text(*parse_call(ast.unparse(node)))
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, text) for item in node.elts]
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
    try:
        return parse_call(f"_(_={text})") == ("_", {"_": text})
    except RegistryError:
        return False


def _as_declared(parameter: inspect.Parameter, value: Any) -> Any:
    """A whole number where a float is declared is that float, so that 1 and 1.0 are one spelling."""
    declared = typing.get_args(parameter.annotation) or (parameter.annotation,)
    if isinstance(value, int) and not isinstance(value, bool) and float in declared and int not in declared:
        return float(value)
    return value


def _fits(value: Any, allowed: Any) -> bool:
    origin = typing.get_origin(allowed)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(allowed))
    if origin is typing.Literal:
        return value in typing.get_args(allowed)
    if origin in (list, tuple):
        return isinstance(value, list) and all(_fits(item, typing.get_args(allowed)[0]) for item in value)
    if allowed is None or allowed is type(None):
        return value is None
    if allowed is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if allowed is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, allowed) if isinstance(allowed, type) else True


def _type_name(allowed: Any) -> str:
    parts = typing.get_args(allowed)
    if typing.get_origin(allowed) is typing.Literal:
        return "one of " + ", ".join(map(str, parts))
    if typing.get_origin(allowed) in (typing.Union, types.UnionType):
        return " or ".join(map(_type_name, parts))
    if typing.get_origin(allowed) in (list, tuple):
        return f"a list of {_type_name(parts[0])} each"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(allowed) or ("null" if allowed in (None, type(None)) else str(allowed))


def _declare(parameter: inspect.Parameter) -> str:
    kind = parameter.annotation
    shown = getattr(kind, "__name__", str(kind)) if typing.get_origin(kind) is None else str(kind)
    if typing.get_origin(kind) is typing.Literal:
        shown = " | ".join(map(str, typing.get_args(kind)))
    colon = "" if kind is parameter.empty else f": {shown}"
    default = "" if parameter.default is parameter.empty else f" = {_spell(parameter.default)}"
    return f"{parameter.name}{colon}{default}"

"""A named table filled by decoration and read by name or call-text.

One class serves every table of the project: activations, initialisers, probes, datasets, claims, figures.

```python
@ACTIVATIONS
def leaky_relu(slope: Annotated[float, Within(0, 1, above=True)] = 0.01) -> Activation: ...

ACTIVATIONS.bind("leaky_relu(slope=0.1)")()  # the Activation; a wrong name or option is a RegistryError
```

How a call-text is read and spelled stands in `calls`, and what the type of an option allows in `options`.
What the author of a table or of one of its parts needs of these two can be imported from here.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from mlp.calls import RegistryError, call_text, check_length, did_you_mean, parse_call, spell
from mlp.options import Count, Positive, Share, Within, cut, fitted, in_words

__all__ = [
    "PROJECT", "Count", "Positive", "Registry", "RegistryError", "Share", "Within", "call_text",
    "did_you_mean", "doc_of", "fitted", "in_words", "parse_call",
]  # fmt: skip

PROJECT = {"mlp"}  # the packages whose parts no other part may replace; one that has tables adds its name


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

    def __repr__(self) -> str:
        """Show the kind of the table and its names, as a notebook does."""
        return f"<{self.kind}: {', '.join(self)}>"

    def __missing__(self, name: str) -> Callable[..., Any]:
        hint = did_you_mean(name, [*self, *self.aliases])
        raise RegistryError(f"unknown {self.kind} {name!r}.{hint} Known: {', '.join(sorted(self))}")

    @property
    def words(self) -> str:
        """Say in words what a text of this table is: ``the name of an activation``."""
        return f"the name of {'an' if self.kind[0] in 'aio' else 'a'} {self.kind}"

    def bind(self, text: str) -> partial[Any]:
        """Return the function that a call-text names, with its options checked and filled in."""
        name, options = self.parse(text)
        return partial(self[name], **options)

    def canonical(self, text: str) -> str:
        """Return the one spelling of a call-text: options in the signature's order, defaults left out.

        ``leaky_relu( slope = .1 )`` is ``leaky_relu(slope=0.1)`` and ``leaky_relu(slope=0.01)`` is
        ``leaky_relu``, so that two spellings of one thing are one run.
        """
        name, options = self.parse(text)
        known = self.options(name)
        kept = {key: options[key] for key, p in known.items() if key in options and options[key] != p.default}
        spelled = call_text(name, kept)
        check_length(spelled)
        return spelled

    def parse(self, text: str) -> tuple[str, dict[str, Any]]:
        """Return the name of the entry and the options that a call-text gives; errors: RegistryError."""
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
                raise RegistryError(f"{self.kind} {name!r}: option {key} is {cut(value)}{error}") from None
        return name, options

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the named function's options: its keyword-only parameters and those with a default."""
        return _options(self[name])


def doc_of(function: Callable[..., Any]) -> str:
    """Return a docstring without its indentation, from the source where ``python -OO`` has dropped it."""
    text = inspect.getdoc(function)
    if text is None and sys.flags.optimize > 1:
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
            text = ast.get_docstring(tree) if isinstance(tree, ast.FunctionDef) else None
    return text or ""


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


def _declare(parameter: inspect.Parameter) -> str:
    """Return an option with its default and range: ``slope=0.01 (a number above 0 and up to 1)``."""
    default = "" if parameter.default is parameter.empty else f"={spell(parameter.default)}"
    return f"{parameter.name}{default} ({in_words(parameter.annotation)})"


def _forget() -> None:
    """Clear every cache of this project: it may hold what a part computed that has been replaced."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PROJECT:
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()

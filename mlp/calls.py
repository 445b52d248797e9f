"""Call-texts: the name of a part, with options or without, such as ``leaky_relu(slope=0.1)``.

A call-text is the value in a config, in a table of records and in a legend, so it has one spelling. It is
data: it is parsed and never evaluated.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from math import isfinite
from typing import Any

LONGEST_TEXT = 500  # a call-text is a few words; the parser's memory grows with what it is fed
LONGEST_NUMBER = 40  # digits; int("9" * 5000) is an error of Python's own, and slow below that
PATH = re.compile(r"[A-Za-z_][\w-]*([./][\w-]+)+")  # read without quotes, written with them


class RegistryError(ValueError):
    """A name or an option that its table does not have; the message says what it does have."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'width'?`` for the choice most like the word, or the empty text."""
    near = get_close_matches(word, list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name(option=value, …)`` into the name and its options; errors: RegistryError.

    A value is a literal, a list of values, a bare name (taken as text) or another call-text.
    """
    check_length(text)
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
    """Return the one spelling of a call: no spaces but after commas, options in the order given."""
    if not options:
        return name
    return f"{name}({', '.join(f'{key}={spell(value)}' for key, value in options.items())})"


def check_length(text: str) -> None:
    """Check that a text is short enough to be parsed; errors: RegistryError."""
    if len(text) > LONGEST_TEXT:
        raise RegistryError(f"a name of {len(text)} characters; at most {LONGEST_TEXT} are read")


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


def spell(value: Any) -> str:
    """Return the one spelling of an option's value: ``2`` of 2.0, ``[a, b]`` of a list."""
    if isinstance(value, list):
        return f"[{', '.join(spell(item) for item in value)}]"
    if isinstance(value, str) and _is_plain(value):
        return value
    if isinstance(value, float) and abs(value) < 1e15 and value == int(value):
        return repr(int(value))  # 2.0 and 2 are one spelling, whatever the option's declared type
    return repr(value)


def _is_plain(text: str) -> bool:
    """Return whether a text may stand without quotes and still be read back as itself."""
    if PATH.fullmatch(text):
        return False
    try:
        return parse_call(f"_(_={text})") == ("_", {"_": text})
    except RegistryError:
        return False

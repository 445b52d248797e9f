"""Parts that a user has registered in Python: activations, probes, data sets, … that this project lacks.

What they compute is part of a run's identity (`digests`), so that an edited part is trained anew. It is read
off the code as it is in memory, not off its file, which may have been edited since it was imported: bytecode,
constants, defaults, closures, and what the code takes from its module. Comments and docstrings do not count.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from experiments.config.kinds import TABLES
from experiments.datasets.user_code import is_of_library

WORD = re.compile(r"[A-Za-z_]\w*")
_adopted: dict[str, str] = {}  # of a worker: what the process that sent it the parts says of them
PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic)


def used_by(texts: Iterable[str]) -> dict[str, str]:
    """Return the digests of the user's parts that these call-texts name, by name."""
    known = digests()
    words = {word for text in texts for word in WORD.findall(text)} if known else set()
    return {name: known[name] for name in sorted(known.keys() & words)}


@lru_cache(maxsize=1)
def digests() -> dict[str, str]:
    """Return a digest of each part that is not of this project, by its name.

    Kept until `look_again`, so that a part that changes its own data while it runs keeps its name meanwhile.
    """
    if _adopted:
        return dict(_adopted)
    found: dict[str, list[str]] = {}
    for module, table in TABLES.values():
        names = getattr(sys.modules.get(module), table, {})  # a table not yet imported has no parts of a user
        for name, part in names.items():
            if is_own(part):
                found.setdefault(name, []).append(digest(part))
    return {name: " ".join(each) for name, each in found.items()}


def look_again() -> None:
    """Forget the digests: before a plan is made, or results are loaded, the parts are looked at anew."""
    digests.cache_clear()


def adopt(known: dict[str, str]) -> None:
    """Take these digests for those of this process: a worker's, of the parts that it was sent."""
    _adopted.clear()
    _adopted.update(known)
    look_again()


def file_of(part: Any) -> str:
    """Return the name of the file that a function of the user's stands in; "" where it is another object."""
    own = isinstance(part, FunctionType) and not is_of_library(part.__code__.co_filename)
    return Path(part.__code__.co_filename).name if own else ""


def place_of(part: Any) -> str:
    """Return where a part stands, as ``my_parts.py, line 12``."""
    for function in functions_of(part):
        code = function.__code__
        if not is_of_library(code.co_filename):
            return f"{Path(code.co_filename).name}, line {code.co_firstlineno}"
    return "given from Python"


def is_own(part: Callable[..., Any]) -> bool:
    """Return whether a part, or a function that it wraps, was written outside this project's files."""
    return any(not is_of_library(function.__code__.co_filename) for function in functions_of(part))


def digest(part: Callable[..., Any]) -> str:
    """Return twelve hex digits that differ where the part would compute something else."""
    return hashlib.sha256("\n".join(_described(part, set())).encode()).hexdigest()[:12]


def functions_of(part: Any) -> Iterator[FunctionType]:
    """Yield the functions that a part consists of: itself, and those that it wraps or is a partial of."""
    if isinstance(part, partial):
        yield from functions_of(part.func)
    elif isinstance(part, MethodType):
        yield from functions_of(part.__func__)
    elif isinstance(part, FunctionType):
        yield part
        for cell in part.__closure__ or ():
            if isinstance(inside := _contents(cell), FunctionType | partial | MethodType):
                yield from functions_of(inside)
    elif isinstance(call := vars(type(part)).get("__call__"), FunctionType):  # an object that can be called
        yield call


def _described(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield texts that settle what a value is, and what it computes if it is a function."""
    if isinstance(value, PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif id(value) in seen:
        yield "again"
    else:
        seen.add(id(value))
        yield type(value).__name__
        yield from _described_object(value, seen)


def _described_object(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    elif isinstance(value, FunctionType):
        yield from _described_function(value, seen)
    elif isinstance(value, partial):
        for each in (value.func, value.args, value.keywords):
            yield from _described(each, seen)
    elif isinstance(value, MethodType):
        for each in (value.__func__, value.__self__):
            yield from _described(each, seen)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _described(each, seen)
    elif isinstance(value, set | frozenset):
        yield from sorted("\n".join(_described(each, set(seen))) for each in value)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _described(each, seen)
    elif hasattr(value, "__name__") or not hasattr(value, "__dict__"):  # a class, a module, a ufunc, …
        yield from _described_class(value, seen)
    else:
        yield from _described(type(value), seen)
        yield from _described(vars(value), seen)


def _described_class(value: Any, seen: set[int]) -> Iterator[str]:
    """A class of the user's is what its methods are; anything of a library is its name."""
    module = getattr(value, "__module__", None) or ""
    yield f"{module} {getattr(value, '__qualname__', getattr(value, '__name__', ''))}"
    file = getattr(sys.modules.get(module), "__file__", None)
    library = value.__module__ == "builtins" if isinstance(value, type) else True
    if isinstance(value, type) and not library and not (file and is_of_library(file)):
        for base in value.__bases__:
            yield from _described(base, seen)
        for name, each in sorted(vars(value).items()):
            if name not in ("__doc__", "__dict__", "__weakref__", "__module__", "__firstlineno__"):
                yield name
                yield from _described(each, seen)


def _described_function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    code = function.__code__
    if is_of_library(code.co_filename) and not function.__closure__:
        yield f"{function.__module__} {function.__qualname__}"
        return
    yield from _described_code(code, function.__doc__)
    cells = [_contents(cell) for cell in function.__closure__ or ()]
    for each in (function.__defaults__, function.__kwdefaults__, cells):
        yield from _described(each, seen)
    if not is_of_library(code.co_filename):
        for name in sorted(_names(code)):
            if name in function.__globals__:
                yield name
                yield from _described_global(function.__globals__[name], code, seen)


def _described_global(value: Any, code: CodeType, seen: set[int]) -> Iterator[str]:
    """What code takes from its module; of another module of the user's, what it takes from that in turn."""
    yield from _described(value, seen)
    file = getattr(value, "__file__", None)
    if isinstance(value, ModuleType) and file and not is_of_library(file):
        for name in sorted(_names(code) & vars(value).keys()):
            yield name
            yield from _described(vars(value)[name], seen)


def _described_code(code: CodeType, doc: str | None = None) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_argcount} {code.co_kwonlyargcount} {code.co_names}"
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _described_code(const)
        elif doc is None or const != doc:
            yield from _described(const, set())


def _names(code: CodeType) -> set[str]:
    inner = (_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*inner)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that has no value yet
        return None

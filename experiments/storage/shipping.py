"""Send the parts that a user has registered in this process to the workers that train with them.

cloudpickle packs a function by value, with what it takes from its module, so that a notebook's cell, a file
of `--with` and a script without a main guard are the same to a worker, on this machine and on another.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import Parameter
from types import CodeType
from typing import Any

from experiments.config.kinds import TABLES, table
from experiments.datasets.user_code import is_of_user
from experiments.storage import own_parts
from mlp.probes import PROBES

LARGEST = 64 * 2**20  # bytes that go along with every stack; more are better read from a file
_unpacked = ""  # the digest of what this worker has unpacked


class NotSent(ValueError):
    """A part that cannot be sent to a worker; the message names it, its place and the reason."""


def packed(texts: Iterable[str]) -> bytes:
    """Return the user's parts that these call-texts name, packed; b"" if there are none; errors: NotSent."""
    words = _words(texts)
    parts = [(kind, name, part) for kind, name, part in _of_user() if name in words]
    if not parts:
        return b""
    import cloudpickle

    sent = []
    with _by_value(cloudpickle):
        for kind, name, part in parts:  # one by one, so that it is known which is to blame
            facts = PROBES.facts(name) if kind == "probe" else None
            sent.append((kind, facts, own_parts.file_of(part), _packed_one(cloudpickle, kind, name, part)))
    size = sum(len(data) for *_, data in sent)
    if size > LARGEST:
        raise NotSent(
            f"{', '.join(name for _, name, _ in parts)}: {size / 2**20:,.0f} MB are too many to be sent with "
            f"every stack (at most {LARGEST / 2**20:.0f}); save the data as .npz and use file(path=…)"
        )
    return pickle.dumps((sent, own_parts.digests()))


def _packed_one(cloudpickle: Any, kind: str, name: str, part: Callable[..., Any]) -> bytes:
    """Return a part packed: given data as what makes them again, a function with its types evaluated."""
    try:
        again = getattr(part, "again", None) or partial(_itself, part)
        if hasattr(part, "__annotations__"):  # which a worker could not evaluate from their text
            known = {key: p.annotation for key, p in table(kind).options(name).items()}
            part.__annotations__ = {key: kind for key, kind in known.items() if kind is not Parameter.empty}
        data: bytes = cloudpickle.dumps(again)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NotSent(f"{kind} {name} ({own_parts.place_of(part)}) cannot be sent: {reason[:200]}") from None
    return data


def _itself(part: Callable[..., Any]) -> Callable[..., Any]:
    return part


def unpack(data: bytes) -> None:
    """Register the parts of `packed` in this worker, under the digests that they have at home."""
    global _unpacked
    digest = hashlib.sha256(data).hexdigest()
    if digest == _unpacked:
        return
    sent, digests = pickle.loads(data)
    for kind, facts, file, one in sent:
        part = pickle.loads(one)()
        if file:  # which cloudpickle leaves out, and an error has to name
            part.__code__ = _of_file(part.__code__, file)
        if facts is None:
            table(kind)(part)
        else:
            PROBES.declare(part, facts)
    own_parts.adopt(digests)
    _unpacked = digest


def _of_file(code: CodeType, file: str) -> CodeType:
    """Return the code, and that of the functions in it, with the name of its file."""
    consts = (_of_file(each, file) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=file, co_consts=tuple(consts))


def names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the user's parts that these call-texts name."""
    words = _words(texts)
    return tuple(sorted({name for _, name, _ in _of_user() if name in words}))


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in own_parts.WORD.findall(text)}


def _of_user() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Yield the kind, the name and the function of each part that a worker does not have."""
    for kind, (module, name_of_table) in TABLES.items():
        for name, part in getattr(sys.modules.get(module), name_of_table, {}).items():
            if own_parts.is_own(part) or hasattr(part, "again"):
                yield kind, name, part


@contextmanager
def _by_value(cloudpickle: Any) -> Iterator[None]:
    """Pack what comes from a user's own modules by value, for a worker may lack the files."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and is_of_user(getattr(module, "__file__", None))
    ]
    known = set(cloudpickle.list_registry_pickle_by_value())
    added = [
        each for each in modules if each.__name__ not in known and sys.modules.get(each.__name__) is each
    ]
    for module in added:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)

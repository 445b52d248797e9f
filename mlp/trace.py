"""A read-only record of one layer of R runs at one step, or of several alike: what a probe is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mlp.activations import Activation, Array, InPlace

if TYPE_CHECKING:
    from mlp.tape import Tape

T = TypeVar("T")
Measure = npt.NDArray[np.float64]  # (R,), one number a run
Summary = tuple[Callable[..., Array], *tuple[Any, ...]]  # a function of a trace, and its other arguments

ROUGH = 1e-2  # of the largest slope: beyond, a slope that is right to a few last places of it will do
HUGE = {"float32": 1e15, "float64": 1e140}  # a norm whose square keeps its digits, and so its reciprocal's
CHUNK = 4096  # squares of float32 that are summed in float32: good to 1e-7, and 3 times as fast


def frobenius(x: Array) -> npt.NDArray[np.float64]:
    """(R,) Frobenius norm of every x[r] in float64, with no false zero and no overflow on the way."""
    return _roots(_square_sums(x.reshape(len(x), -1)), x.dtype, lambda: x)


@np.errstate(all="ignore")  # a square that overflowed is measured anew; a run that diverged, as NaN
def _roots(squares: Measure, dtype: np.dtype[Any], x: Callable[[], Array]) -> Measure:
    """(R,) norms of the x[r] whose squares, summed, are these."""
    norm: Measure = np.sqrt(squares)
    huge = HUGE["float32" if dtype == np.float32 else "float64"]
    if all(1 / huge < each < huge for each in norm.tolist()):
        return norm
    for r in np.flatnonzero(~((norm > 1 / huge) & (norm < huge))):
        row = x()[r].ravel().astype(np.float64)
        largest = np.abs(row).max(initial=0.0)
        if 0 < largest < np.inf:
            norm[r] = largest * np.sqrt(np.vecdot(row / largest, row / largest))
    return norm


@np.errstate(all="ignore")
def _square_sums(x: Array) -> npt.NDArray[np.float64]:
    """(…) sums of squares of every x[…, :]."""
    if x.dtype != np.float32:
        wide = x.astype(np.float64, copy=False)
        return np.asarray(np.vecdot(wide, wide))
    if x.shape[-1] <= CHUNK:
        return np.vecdot(x, x).astype(np.float64)
    whole = x.shape[-1] // CHUNK * CHUNK
    pieces, rest = x[..., :whole].reshape(*x.shape[:-1], -1, CHUNK), x[..., whole:]
    sums = np.vecdot(pieces, pieces).sum(axis=-1, dtype=np.float64)
    return np.asarray(sums + np.vecdot(rest, rest) if rest.shape[-1] else sums)


def count(mask: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.float64]:
    """How many are True along the last axis or the one before it: a product with ones is the fastest way."""
    kind = np.float32 if mask.shape[axis] < 2**24 else np.float64  # in which a count is exact
    numbers: Array = mask.astype(kind)
    ones = _ones(mask.shape[axis], np.dtype(kind))
    return (numbers @ ones if axis == -1 else ones @ numbers).astype(np.float64)


def _column_sums(x: Array) -> Array:
    """(R, n) of (R, B, n): a product with ones is the fastest way."""
    return np.matmul(_ones(x.shape[-2], x.dtype), x)


@lru_cache(maxsize=8)
def _ones(size: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(size, dtype)


def _slope_sums(t: LayerTrace) -> Array:
    """(R, n_out) sums of the slope's size over examples, 0 where all are 0."""
    return _column_sums(t.slope_size(ROUGH))


def _squares(t: LayerTrace, name: str) -> Array:
    """(R,) sum of squares of an array."""
    x = getattr(t, name)
    return _square_sums(x.reshape(len(x), -1))


def _read_only(x: Array) -> Array:
    view = x.view()
    view.setflags(write=False)
    return view


_ARRAYS = (
    "x", "z", "a", "passed", "scaled_delta", "scaled_dw", "scaled_db", "exponent", "w", "b", "w0", "step",
)  # fmt: skip
_HOT = ("scaled_delta", "scaled_dw", "scaled_db")  # summaries of these pay for their calls
_TRUE = ("delta", "dw", "db")  # always float64


@np.errstate(all="ignore")
def _moments(x: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(R,) mean and variance; run by run, so that what is left of a run lies in the cache."""
    mean, size = np.empty(len(x)), np.empty(len(x))
    for r, block in enumerate(x):
        wide = block.astype(np.float64, copy=False)
        mean[r] = wide.mean()
        size[r] = frobenius((wide - mean[r])[None])[0]
    return mean, np.square(size) / x[0].size


@dataclass
class LayerTrace:
    """One layer, numbered from the input (1 … depth hidden, depth + 1 the output), over B examples.

    R counts the runs traced here: the slice `runs` of their stack. Or it counts rows, each one run at one of
    several layers of the same shape (`Rows`, which have no tape); most measures need not know.

    x (R, B, n_in) its input, z (R, B, n_out) what enters the activation, a = f(z), slope = f'(z);
    delta = dLoss/dz and dw, db of the mean loss; w, b the parameters, w0 the weights at the start, step the
    update that follows. All arrays are read-only and valid until the next trace is asked for.

    passed is the slope that the backward pass multiplied by: the exact one, or that of `form`, which is right
    to a few last places of `act.max_slope` and may be 0 where the exact one is merely small.

    Gradients are tracked with an exponent so that none underflows: `scaled_delta`, `scaled_dw` and
    `scaled_db` are true · 2^exponent, `exponent` (R,). `delta`, `dw` and `db` have their true size, in
    float64. tape is the pass they come from, for measures that need more than this layer; `late` makes the
    arrays that were not kept, when they are asked for. `taken` are summaries from when the backward pass
    stood at the layer, `wanted` those that have been asked for.
    """

    layer: int | npt.NDArray[np.int64]
    runs: slice | npt.NDArray[np.int64]
    act: Activation
    x: Array
    z: Array
    a: Array
    passed: Array
    scaled_delta: Array
    scaled_dw: Array
    scaled_db: Array
    exponent: npt.NDArray[np.int64]
    w: Array
    b: Array
    w0: Array
    step: Array
    form: InPlace | None = None
    tape: Tape | None = None
    late: Mapping[str, Callable[[], Array]] = field(default_factory=dict, repr=False)
    taken: dict[Summary, Array] = field(default_factory=dict, repr=False)
    wanted: set[Summary] = field(default_factory=set, repr=False)
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        known = vars(self)
        for name in _ARRAYS:
            array = known.pop(name)
            if name not in self.late:
                known[name] = _read_only(array)

    def __getattr__(self, name: str) -> Array:
        if name not in _ARRAYS:
            raise AttributeError(f"a trace has no {name!r}")
        return self.once(name, lambda: self._made(name))

    @np.errstate(all="ignore")  # of a run that diverges; its NaN says so
    def _made(self, name: str) -> Array:
        return _read_only(self.late[name]())

    @property
    def slope(self) -> Array:
        """f'(z), exact also where the activation is saturated."""
        if self.is_exact:
            return self.passed
        return self.once("slope", lambda: _read_only(self.act.df(self.z, self.a)))

    @property
    def is_exact(self) -> bool:
        """Whether what passed is the exact slope."""
        return self.form is None or self.form.exact

    def slope_size(self, finest: float) -> Array:
        """|f'(z)|, for telling what lies below `finest` of the largest slope from what lies above."""
        if self.form is None:
            return self.once("size of the slope", lambda: np.abs(self.passed))
        return self.passed if finest >= ROUGH else self.slope  # neither is negative

    def renewed(self, **at_hand: Array) -> LayerTrace:
        """A trace of the same arrays, not measured yet; some that are else made late may be at hand."""
        fresh = object.__new__(type(self))
        vars(fresh).update(vars(self), _known={})
        vars(fresh).update({name: _read_only(x) for name, x in at_hand.items()})
        return fresh

    @property
    def delta(self) -> Array:
        """dLoss/dz at its true size."""
        return self.once("delta", lambda: self._unscaled(self.scaled_delta))

    @property
    def dw(self) -> Array:
        """Gradient of the mean loss with respect to w, at its true size."""
        return self.once("dw", lambda: self._unscaled(self.scaled_dw))

    @property
    def db(self) -> Array:
        """Gradient of the mean loss with respect to b, at its true size."""
        return self.once("db", lambda: self._unscaled(self.scaled_db))

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """(R, n_out): units whose slope is 0 on every example, so that no gradient passes."""
        return self.once("dead", self._dead)

    def _dead(self) -> npt.NDArray[np.bool_]:
        idle = self.summary(_slope_sums) == 0
        return idle if self.is_exact or not idle.any() else _column_sums(np.abs(self.slope)) == 0

    def norm(self, name: str) -> npt.NDArray[np.float64]:
        """(R,) Frobenius norm of the named array, computed once; of a scaled_ one still scaled."""

        def measure() -> Measure:
            dtype = np.dtype(np.float64) if name in _TRUE else self.x.dtype
            return _roots(self._squares(name), dtype, lambda: getattr(self, name))

        return self.once(f"{name} norm", measure)

    def _squares(self, name: str) -> Array:
        """(R,) sums of squares; of what the backward pass has in the cache as a summary."""
        return self.summary(_squares, name) if name in _HOT else _squares(self, name)

    def moments(self, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(R,) mean and variance of the named array over examples and units, computed once."""
        return self.once(f"{name} moments", lambda: _moments(getattr(self, name)))

    def take(self) -> None:
        """Take the summaries that are wanted, now."""
        self._known.clear()
        for key in self.wanted:
            self.taken[key] = key[0](self, *key[1:])

    def summary(self, kind: Callable[..., Array], *arguments: Any) -> Array:
        """kind(trace, *arguments), a few numbers a run, once asked for.

        With trace="batch" it is then taken at every watched step as soon as the layer's gradient is known,
        while what it reads lies in the cache; so it must do with x, a, w, passed and the layer's gradients.
        """
        key = (kind, *arguments)
        if key in self.taken:
            return self.taken[key]
        self.wanted.add(key)
        return self.once(key, lambda: kind(self, *arguments))

    def once(self, key: Hashable, measure: Callable[[], T]) -> T:
        """What `measure` gives, computed by whichever probe asks first: several may share it."""
        if key not in self._known:
            self._known[key] = measure()
        return cast("T", self._known[key])

    @np.errstate(all="ignore")
    def _unscaled(self, scaled: Array) -> Array:
        wide = scaled.astype(np.float64, copy=False)  # always: a neighbour must not choose the format
        if not self.exponent.any():
            return wide
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        return np.ldexp(wide, -self.exponent.reshape(shape).astype(np.int32))


class Rows(LayerTrace):
    """Layers of one shape in one trace, so that a step is measured in few calls: a row a layer and run.

    `layer` and `runs` are arrays (R,) that tell what a row is of. `together` has arrays of all rows; `blocks`
    hands out those of parameters, (runs, layers, …), to be brought into rows when a measurement asks for
    them, and `late` makes others then; what is left is put together from the parts.
    """

    def __init__(
        self,
        parts: Sequence[LayerTrace],
        together: Mapping[str, Array],
        blocks: Mapping[str, Callable[[], Array]],
        late: Mapping[str, Callable[[], Array]],
    ) -> None:
        runs = len(parts[0].exponent)
        self.parts, self.act, self.form, self._known = parts, parts[0].act, parts[0].form, {}
        self.layer = np.repeat([np.int64(part.layer) for part in parts], runs)
        self.runs = np.tile(np.arange(runs), len(parts))
        self.blocks = blocks
        vars(self).update({name: _read_only(array) for name, array in together.items()})
        others = [name for name in _ARRAYS if name not in together]
        self.late = {name: late.get(name, partial(self._in_rows, name)) for name in others}

    def _in_rows(self, name: str) -> Array:
        if name not in self.blocks:
            return np.concatenate([getattr(part.renewed(), name) for part in self.parts])
        block = self.blocks[name]().swapaxes(0, 1)
        return block.reshape(-1, *block.shape[2:])

    def _squares(self, name: str) -> Array:
        """As of one layer; of parameters without bringing them into rows."""
        if name not in self.blocks or name in _HOT:
            return super()._squares(name)
        block = self.blocks[name]()
        return _square_sums(block.reshape(*block.shape[:2], -1)).T.ravel()

    def summary(self, kind: Callable[..., Array], *arguments: Any) -> Array:
        """As of one layer: its parts', where they have it."""
        key = (kind, *arguments)
        if all(key in part.taken for part in self.parts):
            return self.once(key, lambda: np.concatenate([part.taken[key] for part in self.parts]))
        for part in self.parts:
            part.wanted.add(key)
        return self.once(key, lambda: kind(self, *arguments))

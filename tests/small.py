"""Networks and data small enough to be checked number by number."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

import numpy as np

from mlp.losses import LOSSES
from mlp.network import Network, create
from mlp.probes import PROBES, UNIT_PROBES
from mlp.tape import Tape
from mlp.train import Data, train

DTYPES = ["float32", "float64"]
TRACES = ["probe_set", "batch"]
NORMS = ("none", "batch", "layer")
ALL_PROBES = sorted({**PROBES, **UNIT_PROBES})
BUT_SHARPNESS = [
    name for name in ALL_PROBES if name != "sharpness"
]  # which takes four times all others' time
QUICK_PROBES = [name for name in ALL_PROBES if name in UNIT_PROBES or not PROBES.facts(name).costly]
TRACED = ("x", "z", "a", "slope", "delta", "dw", "db", "w", "b", "w0", "step")


def data(rng, n=12, n_in=4, classes=3, n_test=7) -> Data:
    """Gaussian inputs, every class present."""
    labels = [rng.permutation(np.arange(size) % classes) for size in (n, n_test)]
    return Data(rng.normal(size=(n, n_in)), labels[0], rng.normal(size=(n_test, n_in)), labels[1])


def network(act="tanh", depth=2, width=5, *, n_in=4, classes=3, seeds=(0,), init="xavier_normal",
            bias="normal(std=0.3)", **options) -> Network:  # fmt: skip
    """R = len(seeds) networks; init and bias are one call-text for all runs or one a run."""
    runs = len(seeds)
    return create(
        (n_in, *[width] * depth, classes),
        act,
        seeds=seeds,
        init=[init] * runs if isinstance(init, str) else init,
        bias=[bias] * runs if isinstance(bias, str) else bias,
        **options,
    )


def shaken(net: Network, rng) -> Network:
    """The same network with gains, shifts and learnt slopes away from their start, so that they matter."""
    for layer in net.layers:
        if layer.learnt is not None:
            layer.learnt[:] = rng.uniform(-0.4, 0.6, layer.learnt.shape)
        if layer.gain is not None:
            layer.gain[:] = rng.uniform(0.5, 1.5, layer.gain.shape)
            layer.shift[:] = rng.normal(scale=0.3, size=layer.shift.shape)
    return net


def off_kinks(build, x, within=1e-3):
    """The first network of build(0), build(1), … with no pre-activation near a kink of its activation."""
    return next(net for net in map(build, count()) if _nearest_kink(net, x) > within)


def _nearest_kink(net, x):
    tape = Tape(net, len(x), exact=True)
    tape.forward(x[None])
    return min((abs(saved.z - kink).min() for saved in tape.saved for kink in net.act.kinks), default=1)


def losses(net: Network, x, y, loss="softmax_cross_entropy"):
    """(R,) loss of every run on x (B, n_in), y (B,)."""
    logits = Tape(net, len(x), exact=True).forward(x[None])
    return LOSSES[loss](logits, y[None])[0]


def gradients(net: Network, x, y, loss="softmax_cross_entropy", *, lean=False):
    """(R, P) gradients of the mean loss on x (B, n_in), y (B,), at their true size."""
    tape = Tape(net, len(x), exact=not lean)
    _, d_logits = LOSSES[loss](tape.forward(x[None]), y[None])
    grads = np.full_like(net.params, np.nan)
    tape.gradients(d_logits, net.views(grads))
    tape.backwards.unscale(grads)
    return grads


@dataclass
class Seen:
    """A snapshot that outlives its training: step, (R,) columns, and arrays and probes by layer and name."""

    step: int
    columns: dict
    layers: dict
    params: np.ndarray


COLUMNS = ("loss", "accuracy", "test_loss", "test_accuracy", "lr", "diverged_at")


def watch(net: Network, data: Data, *, seeds, steps=2, watch=None, lr=0.1, batch=4, probes=(), arrays=TRACED,
          **options):  # fmt: skip
    """Train to the end; every snapshot with its named arrays copied out and the named probes measured."""
    rates = [lr] * len(seeds) if np.isscalar(lr) else lr
    watched = range(steps + 1) if watch is None else watch
    bound = {text: (UNIT_PROBES if text in UNIT_PROBES else PROBES).bind(text) for text in probes}
    training = train(net, data, seeds=seeds, lr=rates, steps=steps, batch=batch, watch=watched, **options)
    return [_seen(snap, bound, arrays) for snap in training]


def _seen(snap, probes, arrays):
    columns = {name: np.array(getattr(snap, name)) for name in COLUMNS}
    return Seen(snap.step, columns, _copied(snap.layers, probes, arrays), snap.network.params.copy())


def _copied(layers, probes, arrays):
    """{layer: {name: array with R first}}; a trace may cover a part of the runs."""
    parts = defaultdict(lambda: defaultdict(list))
    for trace in layers:
        for name in arrays:
            parts[trace.layer][name].append(np.array(getattr(trace, name)))
        for text, probe in probes.items():
            parts[trace.layer][text].append(probe(trace))
    return {layer: {name: np.concatenate(p) for name, p in named.items()} for layer, named in parts.items()}


def measured(net: Network, data: Data, probes, **options):
    """The named probes of one run before its first update, by layer and name."""
    return watch(net, data, seeds=[0], steps=0, probes=probes, arrays=(), **options)[0].layers


def traces(net: Network, data: Data, *, step=0, batch=4, steps=1, lr=0.1, **options):
    """The traces of one step as they come, from the output layer to the first."""
    rates = [lr] * net.runs
    seeds = list(range(net.runs))
    for snap in train(net, data, seeds=seeds, lr=rates, steps=steps, batch=batch, watch=[step], **options):
        yield from snap.layers

"""Lesions change one layer and nothing else, in training as in the second look at the start."""

import numpy as np
import pytest

from experiments.config import Recording, Run
from experiments.diagnosis.findings import of_setting
from experiments.diagnosis.lesions import LESIONS, Lesion
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.signals import NEEDED, signals
from experiments.diagnosis.yardstick import yardstick
from experiments.sweeps.in_memory import train_in_memory
from mlp.network import create

RUN = Run(
    activation="relu", init="he_normal", depth=6, width=32, dataset="circles(n=300)", lr=0.1, steps=100,
    batch=32, dtype="float32",
)  # fmt: skip


def drawn():
    return create((2, 8, 8, 8, 2), "relu", seeds=[0, 1], init=["he_normal"] * 2)


@pytest.mark.parametrize("kind", LESIONS)
@pytest.mark.parametrize("layer", [0, 2])
def test_a_lesion_changes_its_layer_in_every_run_and_no_other(kind, layer):
    before, after = drawn(), drawn()
    Lesion(kind, layer)(after)
    for number, (a, b) in enumerate(zip(before.layers, after.layers, strict=True), start=1):
        hit = number <= 3 and layer in (0, number)
        changed = [np.any(x != y, axis=(-2, -1)) for x, y in ((a.w, b.w), (a.b, b.b))]
        assert (np.logical_or(*changed) == hit).all()


def test_lesions_do_what_they_say():
    plain = drawn().layers[1].w
    for kind, factor in (("layer_shrunk", 1e-3), ("layer_blown", 1e3)):
        net = drawn()
        Lesion(kind, 2)(net)
        np.testing.assert_allclose(net.layers[1].w, plain * factor)
    net = drawn()
    Lesion("layer_alike", 2)(net)
    assert np.ptp(net.layers[1].w, axis=(-2, -1)).max() == 0
    np.testing.assert_allclose(np.mean(net.layers[1].w ** 2), np.mean(plain**2), rtol=0.3)  # of either run
    assert set().union(*(kind.truths for kind in LESIONS.values())) <= set(MECHANISMS)


@pytest.mark.parametrize("layer", [2, 4])
def test_the_layer_that_was_silenced_is_named(layer):
    lesion = Lesion("layer_silenced", layer)
    recording = Recording(probes=NEEDED, watch=6)
    plain, broken = (train_in_memory([RUN], recording, lesion=each) for each in (None, lesion))
    (healthy,), (s,) = signals(plain), signals(broken, lesion)
    assert healthy.start.spread.min() > 1e-3
    assert s.start.spread[layer - 1] == 0  # the second look at the start has the lesion, too
    (first, *_) = of_setting([s], yardstick(RUN.dataset, RUN.loss, RUN.batch))
    assert (first["mechanism"], first["layer_first"], first["layer_last"]) == ("dead_units", layer, layer)

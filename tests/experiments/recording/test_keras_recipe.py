"""The recipe for Keras (on JAX): parity with this program's own network."""

import os

import pytest

from experiments.recording import Recorder
from tests.experiments.recording.same_network import LR, RUN, STATED, STEPS, assert_same, start

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras' recipe is not tested: pip install -e '.[parity]'")
jax = pytest.importorskip("jax", reason="Keras' recipe is tested on JAX: pip install -e '.[parity]'")
from experiments.recording.recipes.keras_layers import arrays_of, with_steps  # noqa: E402 - it needs Keras


@pytest.fixture(autouse=True)
def _in_float64():
    """Also where a test before has used Keras in float32, which it then holds to."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(before)


def test_parity(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    with jax.enable_x64(True):
        x, y, params = start()
        sizes = [b.size for _, b in params]
        acts = [RUN.activation] * RUN.depth + [None]
        model = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                *(keras.layers.Dense(n, act) for n, act in zip(sizes, acts, strict=True)),
            ]
        )
        model.set_weights([array for pair in params for array in pair])
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(LR), loss_of)
        recorder = Recorder("keras", **STATED)
        for step in range(STEPS):
            layers, loss = arrays_of(model, x, y, loss_of)
            model.train_on_batch(x, y)
            recorder.record(step, with_steps(layers, model), loss=loss, lr=LR)
    assert_same(recorder.records())

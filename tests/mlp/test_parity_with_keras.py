"""Where our definitions differ from Keras' (results/DEFINITIONS.md), held against Keras itself in float64.

What a test here shows is said on the page in a sentence or a row that ends in the test's name.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from small import network

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras is not compared: pip install -e '.[parity]'")
jax = pytest.importorskip("jax", reason="Keras is compared on JAX: pip install -e '.[parity]'")

from mlp import update  # noqa: E402 - Keras has to be told its backend before it is imported
from mlp.activations import activation  # noqa: E402
from mlp.losses import LOSSES  # noqa: E402
from mlp.optimisers import OPTIMISERS  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "results" / "DEFINITIONS.md"


@pytest.fixture(autouse=True)
def in_float64():
    keras.config.set_floatx("float64")
    jax.config.update("jax_enable_x64", True)


def value(of_keras):
    """A NumPy array of a tensor or a variable of Keras."""
    return np.asarray(getattr(of_keras, "value", of_keras))


def keras_steps(optimiser, gradients, start):
    """What each of the gradients in turn makes of one variable; shape (steps, n)."""
    w = keras.Variable(np.asarray(start, float))
    found = []
    for g in gradients:
        optimiser.apply([np.asarray(g, float)], [w])
        found.append(value(w))
    return np.diff([np.asarray(start, float), *found], axis=0)


def our_steps(text, gradients, rates):
    """The steps that our optimiser makes of the same gradients; shape (steps, n)."""
    step = OPTIMISERS.bind(text)().start(np.zeros((1, len(gradients[0]))))
    return np.array(
        [
            step(np.array([g], float), np.array([[rate]]), np.empty((1, len(g))))[0]
            for g, rate in zip(gradients, rates, strict=True)
        ]
    )


GRADIENTS = [[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]]


def test_keras_clips_all_arrays_together_or_each_by_itself():
    """`global_clipnorm` is our min(1, clip/norm); `clipnorm` takes each array's own norm."""
    grads = [np.array([3.0]), np.array([4.0])]
    sizes = {}
    for option in ("global_clipnorm", "clipnorm"):
        ws = [keras.Variable(np.zeros(1)) for _ in grads]
        keras.optimizers.SGD(1.0, **{option: 1.0}).apply(grads, ws)
        sizes[option] = [float(-value(w)[0]) for w in ws]
    net = network("tanh", 1, seeds=[0])
    step = update.UpdateRule(net, "sgd", clip=1.0, weight_decay=0.0).step(
        np.full_like(net.params, 5.0), np.ones((1, 1)), np.empty_like(net.params)
    )
    assert np.linalg.norm(step) == pytest.approx(1.0, rel=1e-14)
    assert sizes["global_clipnorm"] == pytest.approx([0.6, 0.8], rel=1e-14)
    assert sizes["clipnorm"] == pytest.approx([1.0, 1.0], rel=1e-14)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_keras_decays_all_variables_by_a_step_of_its_own(name):
    """−lr·decay·w, on biases as well, and untouched by clipping."""
    optimiser = getattr(keras.optimizers, name)(0.5, weight_decay=0.1, global_clipnorm=1e-9)
    b = keras.Variable(np.ones(1), name="bias")
    optimiser.apply([np.zeros(1)], [b])
    assert value(b)[0] == pytest.approx(0.95, rel=1e-12)


def test_keras_has_a_last_smaller_batch():
    sizes = []
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: sizes.append(batch))
    model.fit(np.zeros((20, 2)), np.zeros(20), batch_size=8, epochs=1, verbose=0, callbacks=[count])
    assert sizes == [0, 1, 2]  # 20 of 8 are two whole batches, and one of 4


def test_keras_biases_start_at_0_and_weights_by_xavier_uniform():
    layer = keras.layers.Dense(300)
    layer.build((None, 100))
    assert not value(layer.bias).any()
    assert abs(value(layer.kernel)).max() == pytest.approx(np.sqrt(6 / 400), rel=1e-3)


def test_keras_keeps_the_rate_inside_the_velocity():
    """With one rate the steps are ours; when the rate falls, Keras' next step still has the old one in it."""
    ours = our_steps("momentum", GRADIENTS, [0.1, 0.1, 0.1])
    optimiser = keras.optimizers.SGD(0.1, momentum=0.9)
    np.testing.assert_allclose(keras_steps(optimiser, GRADIENTS, [0, 0]), ours, rtol=1e-12)
    falling = keras.optimizers.SGD(
        keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.01]), momentum=0.9
    )
    theirs = keras_steps(falling, GRADIENTS[:2], [0, 0])
    g, h = np.array(GRADIENTS[:2])
    np.testing.assert_allclose(theirs[1], -0.9 * 0.1 * g - 0.01 * h, rtol=1e-12)
    np.testing.assert_allclose(our_steps("momentum", GRADIENTS[:2], [0.1, 0.01])[1], -0.01 * (0.9 * g + h))


def test_keras_rmsprop_has_its_epsilon_under_the_root():
    """With rho 0.9 and epsilon 1e-7; ours are PyTorch's 0.99 and 1e-8 outside the root."""
    theirs, s = keras_steps(keras.optimizers.RMSprop(0.1), GRADIENTS, [0, 0]), np.zeros(2)
    for step, g in zip(theirs, np.array(GRADIENTS), strict=True):
        s = 0.9 * s + 0.1 * g**2
        np.testing.assert_allclose(step, -0.1 * g / np.sqrt(s + 1e-7), rtol=1e-12)
    large = our_steps("rmsprop(rho=0.9, eps=0.5)", GRADIENTS, [0.1] * 3)
    theirs = keras_steps(keras.optimizers.RMSprop(0.1, epsilon=0.5), GRADIENTS, [0, 0])
    assert abs(theirs - large).max() > 0.01


def test_keras_adam_adds_epsilon_before_v_is_corrected():
    """Which makes it larger by 1/√(1 − beta2ᵗ): 32 times at the first step. Without one, Adam is ours."""
    theirs = keras_steps(keras.optimizers.Adam(0.1, epsilon=0.5), GRADIENTS[:1], [0, 0])[0]
    g = np.array(GRADIENTS[0])
    np.testing.assert_allclose(theirs, -0.1 * g / (abs(g) + 0.5 / np.sqrt(1 - 0.999)), rtol=1e-12)
    np.testing.assert_allclose(
        our_steps("adam(eps=0.5)", GRADIENTS[:1], [0.1])[0], -0.1 * g / (abs(g) + 0.5), rtol=1e-12
    )
    tiny = keras_steps(keras.optimizers.Adam(0.1, epsilon=1e-300), GRADIENTS, [0, 0])
    np.testing.assert_allclose(our_steps("adam(eps=1e-300)", GRADIENTS, [0.1] * 3), tiny, rtol=1e-12)


def test_keras_binary_cross_entropy_is_averaged_over_classes():
    z, y = np.random.default_rng(0).normal(size=(1, 5, 3)), np.array([[0, 1, 2, 0, 1]])
    ours = LOSSES["sigmoid_cross_entropy"](z, y)[0][0]
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)(np.eye(3)[y[0]], z[0])
    assert ours == pytest.approx(3 * float(theirs), rel=1e-6)  # Keras keeps probabilities 1e-7 from 0 and 1


@pytest.mark.parametrize(("dtype", "gap", "kept"), [("float32", 80.0, True), ("float32", 120.0, False)])
def test_keras_on_jax_keeps_a_sure_predictions_gradient_while_the_format_can(dtype, gap, kept):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    z = jax.numpy.array([[gap, 0.0]], dtype=dtype)
    theirs = np.asarray(jax.grad(lambda t: loss(np.array([0]), t))(z))[0, 0]
    assert theirs == (pytest.approx(-np.exp(-gap), rel=1e-4) if kept else 0.0)


def test_keras_leaky_layer_has_three_tenths():
    z = np.array([-1.0])
    assert value(keras.layers.LeakyReLU()(z))[0] == pytest.approx(-0.3)
    assert activation("leaky_relu").f(z)[0] == pytest.approx(-0.01)


def test_keras_batch_norm_keeps_running_moments_over_b():
    """Its eps is 1e-3 and its running variance is over B, where PyTorch's is over B − 1."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    layer = keras.layers.BatchNormalization()
    out = value(layer(x, training=True))
    np.testing.assert_allclose(out, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(value(layer.moving_mean), 0.01 * x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(value(layer.moving_variance), 0.99 + 0.01 * x.var(0), rtol=1e-6)


def test_what_the_page_says_of_keras_is_tested_here():
    """And every test has its sentence."""
    named = set(re.findall(r"`(test_keras_\w+)`", PAGE.read_text(encoding="utf-8")))
    here = {name for name, value in globals().items() if name.startswith("test_keras") and callable(value)}
    assert named == here, named ^ here

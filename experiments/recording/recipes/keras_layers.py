"""The arrays of a Keras Sequential model's Dense layers, with JAX as its backend. Import this, or copy it.

layers, loss = arrays_of(model, x, y, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.train_on_batch(x, y)
recorder.record(step, with_steps(layers, model), loss=loss)
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402


def arrays_of(model, x, y, loss_of):
    """The arrays of each Dense layer by its name, and the loss; nothing is updated."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    names = [{"w": d.kernel} | ({"b": d.bias} if d.use_bias else {}) for d in dense]
    weights = [{n: jnp.array(v.value) for n, v in own.items()} for own in names]  # training frees its own
    x = jnp.asarray(x)

    def loss(weights, added):
        seen, a, places = {}, x, iter(zip(weights, added, strict=True))
        for layer in model.layers:
            if layer not in dense:
                a = layer(a)
                continue
            own, zero = next(places)
            seen[layer.name] = {"x": a, "z": a @ own["w"] + own.get("b", 0) + zero}
            a = layer.activation(seen[layer.name]["z"])
        return loss_of(y, a), seen

    zeros = [jnp.zeros((len(x), d.units), d.kernel.value.dtype) for d in dense]
    (value, layers), found = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, zeros)
    for layer, own, gradients, delta in zip(layers.values(), weights, *found, strict=True):
        layer |= own | {f"d{name}": gradient for name, gradient in gradients.items()} | {"delta": delta}
    return layers, value


def with_steps(layers, model):
    """The layers with `step`, what the update that was made since has added to each w."""
    for name, layer in layers.items():
        layer["step"] = model.get_layer(name).kernel.value - layer["w"]
    return layers

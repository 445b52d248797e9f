"""The arrays of a JAX network: delta is the gradient by a zero that is added to z. Copy and adapt `forward`.

layers, loss, gradients = arrays_of(params, x, y)
updates, state = optimiser.update(gradients, state)      # of optax, say
for layer, (step, _) in zip(layers.values(), updates):
    layer["step"] = step
recorder.record(step, layers, loss=loss)
"""

import jax
import jax.numpy as jnp


def forward(params, x, added, f=jax.nn.relu):
    """Logits, and (x, z) of each layer; params: [(w, b), …], added: a zero for each layer's z."""
    seen = []
    for (w, b), zero in zip(params, added, strict=True):
        z = x @ w + b + zero
        seen.append((x, z))
        x = f(z)
    return z, seen


def arrays_of(params, x, y, f=jax.nn.relu):
    """The layers' arrays by name, the mean softmax cross-entropy and the gradients [(dw, db), …]."""

    def loss(params, added):
        logits, seen = forward(params, x, added, f)
        return -jax.nn.log_softmax(logits)[jnp.arange(len(y)), y].mean(), seen

    zeros = [jnp.zeros((len(x), w.shape[1]), x.dtype) for w, _ in params]
    (value, seen), (gradients, deltas) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, zeros)
    rows = zip(params, seen, deltas, gradients, strict=True)
    layers = {
        f"layer {number}": {"x": x, "z": z, "delta": delta, "w": w, "b": b, "dw": dw, "db": db}
        for number, ((w, b), (x, z), delta, (dw, db)) in enumerate(rows, start=1)
    }
    return layers, value, gradients

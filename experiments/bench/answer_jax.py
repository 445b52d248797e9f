"""The question answered by JAX as an expert writes it: vmap over seeds, scan over layers and steps, one jit.

A group is one compiled program: an outer scan over the watched steps, each measured and followed by a loop
of updates, and an inner scan over the hidden layers, whose weights are stacked, so that a network of fifty
layers is compiled as fast as one of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.bench.answer_task import LAYERS, STEPS, Group, Look, main
from experiments.bench.jax_scan import function
from experiments.bench.workload import BELOW, SLOPES


def train(group: Group) -> Iterator[Look]:
    """Train the runs of a group and yield what was measured of all of them, by step."""
    import jax

    jax.config.update("jax_enable_x64", group.task.dtype == "float64")
    import jax.numpy as jnp

    runs = len(group.batches)
    first, *hidden, last = [jnp.asarray(w) for w in group.weights]
    middle = jnp.stack(hidden, axis=1) if hidden else jnp.zeros((runs, 0, 1, 1), first.dtype)
    state = {"first": _layer(first), "middle": _layer(middle), "last": _layer(last)}
    steps, layers = _program(group)(state, group.batches.astype(np.int32))
    for place, step in enumerate(group.task.watched):
        yield Look(
            step,
            {name: np.asarray(column[:, place], float) for name, column in zip(STEPS, steps, strict=True)},
            {name: np.asarray(column[:, place], float) for name, column in zip(LAYERS, layers, strict=True)},
        )


def _layer(w: Any) -> dict[str, Any]:
    import jax.numpy as jnp

    return {"w": w, "b": jnp.zeros((*w.shape[:-2], w.shape[-1]), w.dtype)}


def _program(group: Group) -> Any:
    """Return the compiled training of a group: from weights and batches to its columns, (R, looks, …)."""
    import jax
    import jax.numpy as jnp

    task, data = group.task, group.data
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    x_test, y_test = jnp.asarray(data.x_test), jnp.asarray(data.y_test)
    f, starts = function(group.activation), jnp.asarray(task.watched)
    ends = jnp.asarray([*task.watched[1:], task.watched[-1]])

    def forward(state: Any, nudge: Any, x: Any) -> tuple[Any, Any]:
        def layer(h: Any, given: Any) -> Any:
            z = h @ given[0]["w"] + given[0]["b"] + given[1]
            return f(z), z

        h, z_first = layer(x, (state["first"], nudge["first"]))
        h, z_middle = jax.lax.scan(layer, h, (state["middle"], nudge["middle"]))
        logits = h @ state["last"]["w"] + state["last"]["b"] + nudge["last"]
        return logits, jnp.concatenate([z_first[None], z_middle])

    def loss(state: Any, nudge: Any, x: Any, y: Any) -> tuple[Any, Any]:
        logits, hidden = forward(state, nudge, x)
        return _cross_entropy(logits, y), (logits, hidden)

    def nothing(state: Any, count: int) -> Any:
        """Return zeros that are added to z, so that the gradient with respect to them is delta."""
        return {
            name: jnp.zeros((*layer["b"].shape[:-1], count, layer["b"].shape[-1]), x.dtype)
            for name, layer in state.items()
        }

    def measured(state: Any, start: Any) -> tuple[Any, Any]:
        count = min(task.probe_set, len(x))
        both = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (value, (logits, hidden)), (grads, delta) = both(state, nothing(state, count), x[:count], y[:count])
        tested = forward(state, nothing(state, len(x_test)), x_test)[0]
        right = [_accuracy(logits, y[:count]), _accuracy(tested, y_test)]
        steps = (value, right[0], _cross_entropy(tested, y_test), right[1])
        return steps, _columns(group.activation, f, state, start, grads, delta, hidden, logits)

    def one_run(state: Any, order: Any) -> Any:
        start = state

        def update(step: Any, state: Any) -> Any:
            batch = order[step]
            grads = jax.grad(lambda s: loss(s, nothing(s, task.batch), x[batch], y[batch])[0])(state)
            return jax.tree.map(lambda p, g: p - task.lr * g, state, grads)

        def look(state: Any, between: Any) -> Any:
            found = measured(state, start)
            return jax.lax.fori_loop(between[0], between[1], update, state), found

        return jax.lax.scan(look, state, (starts, ends))[1]

    return jax.jit(jax.vmap(one_run))


def _cross_entropy(logits: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


def _accuracy(logits: Any, y: Any) -> Any:
    return (logits.argmax(axis=1) == y).astype(logits.dtype).mean()


def _columns(
    activation: str, f: Any, state: Any, start: Any, grads: Any, delta: Any, hidden: Any, logits: Any
) -> Any:
    """Return the columns of `layers`, (depth + 1,) each, in the order of LAYERS."""
    import jax.numpy as jnp

    def by_layer(measure: Any, tree: Any) -> Any:
        return jnp.concatenate(
            [measure(tree["first"][None]), measure(tree["middle"]), measure(tree["last"][None])]
        )

    def part(tree: Any, name: str) -> Any:
        return {key: layer[name] for key, layer in tree.items()}

    def norm(each: Any) -> Any:
        return jnp.sqrt((each**2).sum(axis=tuple(range(1, each.ndim))))

    def over(measure: Any, hidden: Any, last: Any) -> Any:
        return jnp.concatenate([measure(hidden, axis=(1, 2)), measure(last)[None]])

    outputs = f(hidden)
    slopes = SLOPES[activation](outputs)
    threshold = BELOW * (0.25 if activation == "sigmoid" else 1.0)
    none = jnp.zeros(1, hidden.dtype)
    w, dw = part(state, "w"), part(grads, "w")
    moved = {key: w[key] - start[key]["w"] for key in w}
    return (
        by_layer(norm, delta), by_layer(norm, dw), by_layer(norm, part(grads, "b")), by_layer(norm, w),
        over(jnp.mean, hidden, logits), over(jnp.var, hidden, logits),
        over(jnp.mean, outputs, logits), over(jnp.var, outputs, logits),
        jnp.concatenate([(slopes == 0).all(axis=1).astype(hidden.dtype).mean(axis=1), none]),
        jnp.concatenate([(slopes < threshold).astype(hidden.dtype).mean(axis=(1, 2)), none]),
        by_layer(norm, moved) / by_layer(norm, part(start, "w")),
        by_layer(lambda each: (each == 0).astype(hidden.dtype).mean(axis=(1, 2)), dw),
    )  # fmt: skip


if __name__ == "__main__":
    main(train)

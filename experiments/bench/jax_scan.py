"""JAX as an expert would run many seeds: one run's step, vmap over runs, scan over steps, all compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.workload import BELOW, BETWEEN, LEAK, SLOPES, Array, Engine, Problem, Readings

CHUNK = 10  # steps a compiled scan makes; Python's part in them is not felt


def engine(problem: Problem, records: str = "every") -> Engine:
    """Return the engine jit(scan(vmap(value_and_grad))).

    records: "every" (of the batch, at every step) or "schedule" (of the probe set, at the default schedule).
    """
    import jax

    jax.config.update("jax_enable_x64", problem.case.dtype == "float64")
    import jax.numpy as jnp

    state: dict[str, Any] = {
        "w": [jnp.asarray(w) for w in problem.weights],
        "b": [jnp.zeros((len(w), w.shape[-1]), w.dtype) for w in problem.weights],
    }
    x, y = jnp.asarray(problem.data.x), jnp.asarray(problem.data.y.astype(np.int32))
    every, scheduled = _compiled(problem)
    scan, chunk = (every, CHUNK) if records == "every" else (scheduled, BETWEEN)
    batches = problem.indices()

    def run(steps: int) -> Readings | None:
        nonlocal state
        parts = []
        for first in range(0, steps, chunk):
            index = np.stack([next(batches) for _ in range(min(chunk, steps - first))])
            state, found = scan(state, x, y, index.astype(np.int32))
            parts.append([np.asarray(each, np.float64) for each in found])
        if records != "every":
            return None
        whole = [np.concatenate([p[i] for p in parts]) for i in range(4)]
        return Readings(whole[0], *(np.moveaxis(column, 1, 2) for column in whole[1:]))

    def weights() -> list[Array]:
        return [np.array(w) for w in state["w"]]

    return Engine(run, weights, chunk)


def function(name: str) -> Any:
    """Return an activation in JAX."""
    import jax
    import jax.numpy as jnp

    kinds = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}
    return kinds.get(name, lambda z: jax.nn.leaky_relu(z, LEAK))


def _compiled(problem: Problem) -> Any:
    import jax
    import jax.numpy as jnp

    case = problem.case
    f, slope, threshold = function(case.activation), SLOPES[case.activation], BELOW * case.max_slope

    def loss(state: Any, x: Any, y: Any) -> Any:
        outputs, h = [], x
        for w, b in zip(state["w"][:-1], state["b"][:-1], strict=True):
            h = f(h @ w + b)
            outputs.append(h)
        logits = h @ state["w"][-1] + state["b"][-1]
        own = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -own.mean(), outputs

    def measured(state: Any, x: Any, y: Any) -> Any:
        (value, outputs), grads = jax.value_and_grad(loss, has_aux=True)(state, x, y)
        slopes = [slope(a) for a in outputs]
        dead = jnp.stack([(s == 0).all(axis=0).mean() for s in slopes])
        saturated = jnp.stack([(s < threshold).mean() for s in slopes])
        norms = jnp.stack([jnp.linalg.norm(g) for g in grads["w"]])
        return grads, (value, norms, dead, saturated)

    def one_run(state: Any, x: Any, y: Any) -> Any:
        grads, records = measured(state, x, y)
        return jax.tree.map(lambda p, g: p - case.lr * g, state, grads), records

    @jax.jit
    def every(state: Any, x: Any, y: Any, index: Any) -> Any:
        return jax.lax.scan(lambda s, i: jax.vmap(one_run)(s, x[i], y[i]), state, index)

    @jax.jit
    def scheduled(state: Any, x: Any, y: Any, index: Any) -> Any:
        _, records = jax.vmap(measured, in_axes=(0, None, None))(state, x, y)
        step = jax.vmap(lambda s, x, y: one_run(s, x, y)[0])
        state, _ = jax.lax.scan(lambda s, i: (step(s, x[i], y[i]), None), state, index)
        return state, records

    return every, scheduled

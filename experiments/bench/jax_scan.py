"""JAX as an expert would run many seeds: one run's step, vmap over runs, scan over steps, all compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.workload import BELOW, LEAK, SLOPES, Array, Engine, Problem, Readings

CHUNK = 10  # steps a compiled scan makes; Python's part in them is not felt


def engine(problem: Problem) -> Engine:
    """jit(scan(vmap(value_and_grad)))."""
    import jax

    jax.config.update("jax_enable_x64", problem.case.dtype == "float64")
    import jax.numpy as jnp

    state: dict[str, Any] = {
        "w": [jnp.asarray(w) for w in problem.weights],
        "b": [jnp.zeros((len(w), w.shape[-1]), w.dtype) for w in problem.weights],
    }
    x, y = jnp.asarray(problem.data.x), jnp.asarray(problem.data.y.astype(np.int32))
    scan = _compiled(problem)
    batches = problem.indices()

    def run(steps: int) -> Readings:
        nonlocal state
        parts = []
        for first in range(0, steps, CHUNK):
            index = np.stack([next(batches) for _ in range(min(CHUNK, steps - first))])
            state, records = scan(state, x, y, index.astype(np.int32))
            parts.append(records)
        whole = [np.concatenate([np.asarray(p[i], np.float64) for p in parts]) for i in range(4)]
        return Readings(whole[0], *(np.moveaxis(column, 1, 2) for column in whole[1:]))

    def weights() -> list[Array]:
        return [np.array(w) for w in state["w"]]

    return Engine(run, weights, CHUNK)


def _function(name: str) -> Any:
    import jax
    import jax.numpy as jnp

    kinds = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}
    return kinds.get(name, lambda z: jax.nn.leaky_relu(z, LEAK))


def _compiled(problem: Problem) -> Any:
    import jax
    import jax.numpy as jnp

    case = problem.case
    f, slope, threshold = _function(case.activation), SLOPES[case.activation], BELOW * case.max_slope

    def loss(state: Any, x: Any, y: Any) -> Any:
        outputs, h = [], x
        for w, b in zip(state["w"][:-1], state["b"][:-1], strict=True):
            h = f(h @ w + b)
            outputs.append(h)
        logits = h @ state["w"][-1] + state["b"][-1]
        own = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -own.mean(), outputs

    def one_run(state: Any, x: Any, y: Any) -> Any:
        (value, outputs), grads = jax.value_and_grad(loss, has_aux=True)(state, x, y)
        slopes = [slope(a) for a in outputs]
        dead = jnp.stack([(s == 0).all(axis=0).mean() for s in slopes])
        saturated = jnp.stack([(s < threshold).mean() for s in slopes])
        norms = jnp.stack([jnp.linalg.norm(g) for g in grads["w"]])
        state = jax.tree.map(lambda p, g: p - case.lr * g, state, grads)
        return state, (value, norms, dead, saturated)

    @jax.jit
    def scan(state: Any, x: Any, y: Any, index: Any) -> Any:
        return jax.lax.scan(lambda s, i: jax.vmap(one_run)(s, x[i], y[i]), state, index)

    return scan

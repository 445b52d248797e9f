"""How sharp a loss may be for an optimiser's steps on it to die away."""

from __future__ import annotations

from mlp.optimisers import OPTIMISERS
from mlp.registry import parse_call


def stability_limit(optimiser: str, lr: float) -> float:
    """Return the sharpness above which an optimiser's steps grow on a quadratic; NaN where none is known.

    On λθ²/2 the iteration is linear, and its eigenvalues lie inside the unit circle up to 2/η for gradient
    descent, (2 + 2β)/η for Polyak's momentum and (2 + 2β)/(η(1 + 2β)) for Nesterov's. `optimiser` is a
    call-text, `lr` the rate η. Cohen et al. 2021.
    """
    name, given = parse_call(OPTIMISERS.canonical(optimiser))
    if name == "sgd":
        return 2 / lr
    if name not in ("momentum", "nesterov"):
        return float("nan")
    beta = float(given.get("beta", OPTIMISERS.options(name)["beta"].default))
    ahead = 1 + 2 * beta if name == "nesterov" else 1.0
    return (2 + 2 * beta) / (lr * ahead)

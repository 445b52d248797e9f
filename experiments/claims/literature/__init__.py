"""Published and closed-form numbers replayed: a claim per paper, each number a line of its evidence."""

from experiments.claims.literature import (
    alike,
    branches,
    depth,
    descent,
    finite_width,
    glorot,
    gradients,
    normalised,
    relu,
    sigmoid_size,
    special_weights,
    tutorial,
)

__all__ = [
    "alike", "branches", "depth", "descent", "finite_width", "glorot", "gradients", "normalised", "relu",
    "sigmoid_size", "special_weights", "tutorial",
]  # fmt: skip

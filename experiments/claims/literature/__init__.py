"""Published and closed-form numbers replayed: a claim a paper, each number a line of its evidence."""

from experiments.claims.literature import depth, glorot, gradients, normalised, relu, tutorial

__all__ = ["depth", "glorot", "gradients", "normalised", "relu", "tutorial"]

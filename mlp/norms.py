"""Normalisation of a layer's pre-activations u = x·w + b to z = gain·û + shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mlp.activations import Array
from mlp.registry import Registry, Within


@dataclass(frozen=True)
class Norm:
    """û = (u − mean)/√(var + eps) along `axis` of (R, B, n): −2 over the batch, −1 over the layer."""

    axis: int
    eps: float

    def forward(self, u: Array) -> tuple[Array, Array]:
        """Normalise u in place; return the mean that was taken off and the factor 1/√(var + eps)."""
        mean = u.mean(axis=self.axis, keepdims=True)
        np.subtract(u, mean, out=u)
        scale = 1 / np.sqrt(np.square(u).mean(axis=self.axis, keepdims=True) + self.eps)
        if not np.all((scale > 0) & (scale < np.inf)):
            scale = self._scale_by_size(u, scale)
        np.multiply(u, scale, out=u)
        return mean, scale

    def _scale_by_size(self, u: Array, scale: Array) -> Array:
        """Return 1/√(var + eps) of centred u, anew where u is so large or small that its square is lost."""
        largest = np.abs(u).max(axis=self.axis, keepdims=True)
        factor = np.ldexp(u.dtype.type(1), -np.frexp(largest)[1])
        variance = np.square(u * factor).mean(axis=self.axis, keepdims=True)
        again = factor / np.sqrt(variance + self.eps * factor * factor)
        return np.where(((scale == 0) | np.isinf(scale)) & (largest > 0) & np.isfinite(again), again, scale)

    def backward(self, g: Array, u_hat: Array, scale: Array) -> Array:
        """Return dLoss/du from g = dLoss/dû, written over g: both moments of u depend on u."""
        along = (g * u_hat).mean(axis=self.axis, keepdims=True)
        np.subtract(g, g.mean(axis=self.axis, keepdims=True), out=g)
        np.subtract(g, u_hat * along, out=g)
        return np.multiply(g, scale, out=g)

    @property
    def over_batch(self) -> bool:
        """Return whether an example depends on the others, so that an unseen one needs given moments."""
        return self.axis == -2

    def apply(self, u: Array, *moments: Array) -> Array:
        """Normalise unseen examples in place: over the batch by the given moments, else by their own."""
        if not self.over_batch:
            self.forward(u)
            return u
        mean, scale = moments
        np.subtract(u, mean, out=u)
        return np.multiply(u, scale, out=u)


NORMS = Registry("normalisation", {"batch_norm": "batch", "layer_norm": "layer"})
Eps = Annotated[float, Within(0, 1, below=True)]


@NORMS
def none() -> None:
    """No normalisation."""


@NORMS
def batch(eps: Eps = 1e-5) -> Norm:
    """Every unit to mean 0 and variance 1 over the batch.  Ioffe & Szegedy 2015, algorithm 1.

    On unseen examples the moments are those of the probe set, measured anew at every watched step.
    """
    return Norm(-2, eps)


@NORMS
def layer(eps: Eps = 1e-5) -> Norm:
    """Every example to mean 0 and variance 1 over the layer.  Ba, Kiros & Hinton 2016, eq. 3."""
    return Norm(-1, eps)

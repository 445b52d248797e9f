"""Lesions: faults put into a hidden layer of a drawn network, so that the layer at fault is known.

No config can ask for one; the benchmark trains lesioned networks in memory and asks whether the diagnosis
names the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.network import Layer, Network

Fault = Callable[[Layer], None]
SILENT = -100.0  # a bias that no signal of ordinary size outweighs
FACTOR = 1e3


@dataclass(frozen=True)
class Kind:
    """What is done to a layer's parameters in place, and the mechanisms that name it rightly."""

    fault: Fault
    truths: frozenset[str]


@dataclass(frozen=True)
class Lesion:
    """A fault of a kind in one hidden layer, counted from 1, or in all of them (0).

    A call puts it into a network, in place.
    """

    kind: str
    layer: int

    def __call__(self, net: Network) -> None:
        """Put the fault into the layer in all runs of the network."""
        hidden = net.layers[: net.depth]
        for layer in hidden if self.layer == 0 else hidden[self.layer - 1 : self.layer]:
            LESIONS[self.kind].fault(layer)

    @property
    def truths(self) -> frozenset[str]:
        """The mechanisms that name it rightly."""
        return LESIONS[self.kind].truths


LESIONS: dict[str, Kind] = {}


def lesion(*truths: str) -> Callable[[Fault], Fault]:
    """Register a kind of lesion under its function's name."""

    def register(fault: Fault) -> Fault:
        LESIONS[fault.__name__] = Kind(fault, frozenset(truths))
        return fault

    return register


@lesion("vanishing_gradient")
def layer_shrunk(layer: Layer) -> None:
    """The layer's weights are a thousandth of what was drawn."""
    layer.w[...] /= FACTOR


@lesion("exploding_gradient", "saturated_units")
def layer_blown(layer: Layer) -> None:
    """The layer's weights are a thousand times what was drawn."""
    layer.w[...] *= FACTOR


@lesion("dead_units", "saturated_units", "collapsed_signal", "vanishing_gradient")
def layer_silenced(layer: Layer) -> None:
    """The layer's biases are far below zero."""
    layer.b[...] = SILENT


@lesion("symmetric_units", "collapsed_signal", "dead_units")
def layer_alike(layer: Layer) -> None:
    """All weights of the layer are the same number, of the size that was drawn."""
    layer.w[...] = np.sqrt(np.mean(layer.w**2, axis=(-2, -1), keepdims=True))


@lesion("collapsed_signal", "exploding_gradient", "saturated_units", "dead_units")
def layer_off_centre(layer: Layer) -> None:
    """The layer's weights are shifted by as much as they scatter, so that their mean is not 0."""
    layer.w[...] += np.sqrt(np.mean(layer.w**2, axis=(-2, -1), keepdims=True))

"""Networks of mlp's engine at step 0: what predictions are compared with."""

import numpy as np

from mlp.losses import LOSSES
from mlp.network import create
from mlp.numbers import frobenius
from mlp.tape import Tape

NORMS = ("delta_norm", "dw_norm", "db_norm")


def measured(text, depth, width, x, y, classes, seeds, *, init="xavier_normal", bias="zeros", norm="none",
             residual=0.0, loss="softmax_cross_entropy"):  # fmt: skip
    """{column: (seeds, depth + 1)} of networks at step 0, from mlp's engine."""
    runs = len(seeds)
    net = create((x.shape[1], *[width] * depth, classes), text, seeds=list(seeds), init=[init] * runs,
                 bias=[bias] * runs, norm=norm, residual=residual)  # fmt: skip
    tape, grads = Tape(net, len(x), exact=True), net.views(np.zeros_like(net.params))
    z = tape.forward(x[None])
    found = {name: np.zeros((runs, depth + 1)) for name in (*NORMS, "z_rms", "a_rms", "a_mean")}
    for index in tape.backward(LOSSES.bind(loss)(z, y[None])[1], grads):
        arrays = (tape.delta[index], grads[index].w, grads[index].b)
        for name, array in zip(NORMS, arrays, strict=True):
            found[name][:, index] = np.ldexp(frobenius(array), -tape.exponent[index].astype(int))
        here, out = (tape.saved[index].z, tape.saved[index].a) if index < depth else (z, z)
        found["z_rms"][:, index] = np.sqrt(np.square(here).mean(axis=(1, 2)))
        found["a_rms"][:, index] = np.sqrt(np.square(out).mean(axis=(1, 2)))
        found["a_mean"][:, index] = out.mean(axis=(1, 2))
    return found

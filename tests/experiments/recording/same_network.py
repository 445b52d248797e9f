"""One small training of this program, and its start for a foreign program that is to repeat it."""

import numpy as np

from experiments import datasets
from experiments.config import Recording, Run
from experiments.sweeps.runner import run_stack
from mlp import create
from mlp.probes import DEFAULT_PROBES

STEPS, LR = 3, 0.1
RUN = Run(
    activation="relu", depth=3, width=8, dataset="blobs(n=80)", init="he_normal", bias="normal(std=0.1)",
    steps=STEPS, batch=64, lr=LR,
)  # fmt: skip
STATED = {name: getattr(RUN, name) for name in ("activation", "dataset", "init", "bias", "loss", "optimiser")}


def start():
    """Inputs (N, n), labels (N,) and [(w, b), …] before the first update; a batch is all examples."""
    data = datasets.load(RUN.dataset)
    assert len(data.x) == RUN.batch
    sizes = (data.x.shape[1], *[RUN.width] * RUN.depth, data.classes)
    net = create(sizes, RUN.activation, seeds=[RUN.seed], init=[RUN.init], bias=[RUN.bias])
    return data.x, data.y, [(layer.w[0].copy(), layer.b[0, 0].copy()) for layer in net.layers]


def assert_same(records):
    """Every default probe of every layer and step, and the loss, agree to 1e-6."""
    ours = run_stack([RUN], Recording(DEFAULT_PROBES, watch=tuple(range(STEPS + 1))))
    wanted = ours.layers[ours.layers["step"] < STEPS].sort_values(["step", "layer"]).drop(columns="run_id")
    found = records.layers.drop(columns="run_id")
    assert list(found) == list(wanted)
    logs = [name for name in found if name.endswith("_log10")]  # near 0 they have few digits of their own
    np.testing.assert_allclose(found[logs], wanted[logs], rtol=0, atol=1e-6 / np.log(10))
    plain = [name for name in found if name not in logs]
    np.testing.assert_allclose(found[plain], wanted[plain], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(records.steps["loss"], ours.steps["loss"][:STEPS], rtol=1e-6)
    assert records.runs["norm"].tolist() == ["none"]
    assert not records.layers.attrs["left_out"]

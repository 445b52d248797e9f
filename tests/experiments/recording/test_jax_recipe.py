"""The recipe for JAX: parity with this program's own network."""

import numpy as np
import pytest

from experiments.recording import Recorder
from tests.experiments.recording.same_network import LR, STATED, STEPS, assert_same, start

jax = pytest.importorskip("jax", reason="JAX's recipe is not tested: pip install -e '.[parity]'")
from experiments.recording.recipes.jax_perturbed import arrays_of  # noqa: E402 - it needs JAX


def test_parity(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    with jax.enable_x64(True):
        x, y, params = start()
        params = [(jax.numpy.asarray(w), jax.numpy.asarray(b)) for w, b in params]
        recorder = Recorder("jax", **STATED)
        for step in range(STEPS):
            layers, loss, gradients = arrays_of(params, jax.numpy.asarray(x), y)
            for layer, (dw, _) in zip(layers.values(), gradients, strict=True):
                layer["step"] = -LR * dw
            recorder.record(step, layers, loss=loss, lr=LR)
            params = [(w - LR * dw, b - LR * db) for (w, b), (dw, db) in zip(params, gradients, strict=True)]
    assert_same(recorder.records())


def test_bfloat16_arrays_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    x, y, params = start()
    short = jax.numpy.bfloat16
    params = [(jax.numpy.asarray(w, short), jax.numpy.asarray(b, short)) for w, b in params]
    recorder = Recorder("jax", activation="relu")
    layers, loss, _ = arrays_of(params, jax.numpy.asarray(x, short), y)
    recorder.record(0, layers, loss=loss)
    records = recorder.records()
    assert records.runs["dtype"].tolist() == ["bfloat16"]
    assert "counts in float32 and float64 alone" in records.layers.attrs["left_out"]["subnormal_fraction"]
    wanted = np.linalg.norm(np.asarray(layers["layer 1"]["dw"], np.float64))
    assert records.layers["dw_norm"][0] == pytest.approx(wanted, rel=1e-6)

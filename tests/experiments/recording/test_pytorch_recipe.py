"""The recipe for PyTorch: parity with this program's own network, and the traps that only PyTorch sets."""

import warnings

import numpy as np
import pytest

from experiments.recording import Recorder, RecordingError
from tests.experiments.recording.same_network import LR, RUN, STATED, STEPS, assert_same, start

torch = pytest.importorskip("torch", reason="PyTorch's recipe is not tested: pip install -e '.[parity]'")
from experiments.recording.recipes.pytorch_hooks import Hooks  # noqa: E402 - it needs PyTorch

nn = torch.nn


@pytest.fixture(autouse=True)
def _results(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))


def twin(inplace=False):
    """Inputs, labels and the PyTorch model with the weights of `RUN`."""
    x, y, params = start()
    layers = []
    for w, b in params:
        linear = nn.Linear(*w.shape).double()
        linear.weight.data, linear.bias.data = torch.tensor(w.T.copy()), torch.tensor(b)
        layers += [linear, nn.ReLU(inplace=inplace)]
    return torch.tensor(x), torch.tensor(y), nn.Sequential(*layers[:-1])


def recorded(model, x, y, *, parts=1, steps=STEPS, scaler=None, **stated):
    """Train with SGD and record each step, its examples in `parts` batches that are accumulated."""
    recorder, hooks = Recorder("torch", **({"activation": "relu"} | stated)), Hooks(model)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], LR)
    scaled = scaler.scale if scaler else lambda loss: loss
    for step in range(steps):
        total = 0.0
        for rows in torch.arange(len(x)).chunk(parts):
            loss = nn.functional.cross_entropy(model(x[rows]).flatten(1), y[rows]) / parts
            scaled(loss).backward()
            total += loss.item()
        scale = {"delta": scaler.get_scale()} if scaler else 1.0
        (scaler or optimiser).step(*([optimiser] if scaler else []))
        recorder.record(step, hooks.take(), loss=total, lr=LR, scale=scale, **accuracy(model, x, y))
        if scaler:
            scaler.update()
        optimiser.zero_grad()
    return recorder


def accuracy(model, x, y):
    with torch.no_grad():  # which the hooks do not see
        return {"test_accuracy": (model(x).flatten(1).argmax(1) == y).double().mean().item()}


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("parts", [1, 4])
def test_parity_also_with_an_activation_in_place_and_with_accumulation(inplace, parts):
    x, y, model = twin(inplace)
    assert_same(recorded(model, x, y, parts=parts, **STATED).records())


def test_mixed_precision_is_scaled_back():
    """The optimiser's step unscales the parameters' gradients in place, and no others."""
    x, y, model = twin()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert_same(recorded(model, x, y, scaler=scaler, **STATED).records())
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    hooks = Hooks(model)
    scaler.scale(nn.functional.cross_entropy(model(x), y)).backward()
    with pytest.raises(RecordingError, match=r"delta is 1024 times .* say scale=1024"):
        Recorder("amp", activation="relu").record(0, hooks.take(), loss=1.0)


def test_bfloat16_is_recorded_in_float32():
    x, y, model = twin()
    rows = recorded(model.bfloat16(), x.bfloat16(), y, steps=1).records().layers
    exact = recorded(twin()[2], x, y, steps=1).records().layers
    np.testing.assert_allclose(rows["delta_norm"], exact["delta_norm"], rtol=0.1)  # 8 bits of each number
    assert (rows["dw_norm"] > 0).all()


def test_a_module_used_twice_has_a_layer_for_each_call():
    x, y, model = twin()
    first, act, shared, _, _, _, last = model
    model = nn.Sequential(first, act, shared, act, shared, act, last)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), shared.weight)
    records = recorded(model, x, y, steps=1).records()
    names = next(iter(records.runs.attrs["recorded"].values()))["layers"]
    assert names == ["0 (call 1)", "2 (call 1)", "2 (call 2)", "6 (call 1)"]
    total = records.layers.set_index("layer")["dw_norm"]
    assert total[2] == total[3] == pytest.approx(gradient.norm().item(), rel=1e-12)


def test_a_frozen_layer_has_a_delta_and_no_gradient_of_its_weights():
    x, y, model = twin()
    for parameter in model[2].parameters():
        parameter.requires_grad = False
    recorder = recorded(model, x, y)
    rows = recorder.records().layers.query("step == 2").set_index("layer")
    assert np.isnan(rows.loc[2, "dw_norm"])
    assert rows.loc[2, "delta_norm"] > 0
    assert rows.loc[2, "update_ratio"] == 0
    assert any("no dw: None, as of a parameter without a gradient" in note for note in recorder.notes)


def test_a_first_layer_that_is_frozen_keeps_its_number_and_has_no_gradient():
    """Nothing below it wants a gradient, so PyTorch does not compute its delta."""
    x, y, model = twin()
    for parameter in model[0].parameters():
        parameter.requires_grad = False
    found = recorded(model, x, y, steps=1).records()
    assert found.runs["depth"].tolist() == [RUN.depth]
    assert found.layers["delta_norm"].isna().tolist() == [True, False, False, False]
    assert found.layers["z_var"].notna().all()


def test_a_pass_without_a_backward_pass_is_not_recorded():
    x, y, model = twin()
    hooks, recorder = Hooks(model), Recorder("torch", activation="relu")
    optimiser = torch.optim.SGD(model.parameters(), LR)
    nn.functional.cross_entropy(model(x), y).backward()
    model(x[:5])  # an evaluation that has forgotten no_grad
    optimiser.step()
    recorder.record(0, hooks.take(), loss=1.0)
    assert recorder.records().runs["batch"].tolist() == [len(x)]


def test_steps_that_are_not_taken_are_not_mixed_with_one_that_is():
    x, y, model = twin()
    hooks, optimiser = Hooks(model), torch.optim.SGD(model.parameters(), LR)

    def train(active):
        hooks.active = active
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()

    train(active=True)
    train(active=True)
    with pytest.raises(RecordingError, match="weights have changed since the last take"):
        hooks.take()
    train(active=False)
    train(active=True)
    assert len(hooks.take()["0", 1]["z"]) == len(x)


def test_checkpointing_calls_a_layer_twice_and_is_recorded_once():
    from torch.utils.checkpoint import checkpoint

    x, y, model = twin()

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own advice about checkpoints
        records = recorded(Checkpointed(), x.requires_grad_(), y, steps=1).records()
    assert records.runs["depth"].tolist() == [RUN.depth]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_of_some_layers_changes_no_number_and_no_order(reentrant):
    """One kind calls its layers first without gradients, the other calls them again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = twin()[2]

        def forward(self, x):
            inner = checkpoint(self.layers[1:-1], self.layers[0](x), use_reentrant=reentrant)
            return self.layers[-1](inner)

    x, y, model = twin()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own advice about checkpoints
        found = recorded(Partly(), x, y).records().layers.drop(columns="run_id")
    wanted = recorded(model, x, y).records().layers.drop(columns="run_id")
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_model_on_several_devices_is_refused():
    for model in (nn.DataParallel(nn.Linear(2, 2)), nn.Sequential(nn.DataParallel(nn.Linear(2, 2)))):
        with pytest.raises(TypeError, match="train the plain model on one device"):
            Hooks(model)


def test_a_part_of_the_examples_on_another_device_is_refused():
    """What DataParallel calls there where the model inside it was given hooks: a copy of the module."""
    linear = nn.Linear(2, 2)
    Hooks(linear)
    copy = linear._replicate_for_data_parallel()
    copy.weight, copy.bias = linear.weight, linear.bias
    with pytest.raises(TypeError, match="train the plain model on one device"):
        copy(torch.ones(3, 2))


def test_a_network_that_has_diverged_is_recorded_to_its_end():
    x, y, model = twin()
    model[0].weight.data[0, 0] = np.nan
    assert recorded(model, x, y).records().runs["status"].tolist() == ["diverged"]


def test_a_convolution_in_front_is_read_as_units_and_said():
    x, y, _ = twin()
    torch.manual_seed(0)
    conv, width = nn.Conv2d(1, 3, (1, 1)), x.shape[1]
    model = nn.Sequential(
        nn.Unflatten(1, (1, 1, -1)), conv, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3 * width, 4)
    ).double()
    with torch.no_grad():
        z = conv(x.reshape(64, 1, 1, width))
    recorder = recorded(model, x, y, steps=1)
    row = recorder.records().layers.set_index("layer").loc[1]
    shape = f"(64, 3, 1, {width})"
    told = f"layer 1 (call 1): z of the shape {shape} is read as 64 examples of {3 * width} units"
    assert told in recorder.notes
    assert row["z_rms"] == pytest.approx(z.square().mean().sqrt().item(), rel=1e-12)
    assert row["dead_fraction"] == (z <= 0).all(0).double().mean()  # all of a enters layer 2

"""Each trap of recording another network ends in the right number or in a sentence."""

import numpy as np
import pytest

from experiments.pipeline import load, plot, summarised
from experiments.recording import Recorder, RecordingError
from tests.experiments.recording.foreign import Foreign


@pytest.fixture(autouse=True)
def _results(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))


def rows_of(layers, activation="relu", loss=1.0, **options):
    """The rows of `layers`, by layer, of one recorded step; and the recorder."""
    recorder = Recorder("net", activation=activation)
    recorder.record(0, layers, loss=loss, **options)
    return recorder.records().layers.set_index("layer"), recorder


def of(activation="relu", **options):
    return Foreign(activation=activation, **options).step()[1]


def times(layers, factor, names):
    return {key: a | {name: a[name] * factor for name in names} for key, a in layers.items()}


# Gradients that are multiplied ----------------------------------------------------------------------------


def test_scaled_gradients_are_divided_by_their_scale():
    plain, _ = rows_of(of())
    scaled, _ = rows_of(times(of(), 1024.0, ("delta", "dw", "db")), scale=1024.0)
    np.testing.assert_allclose(scaled.select_dtypes(float), plain.select_dtypes(float), rtol=1e-12)
    delta_alone, _ = rows_of(times(of(), 1024.0, ("delta",)), scale={"delta": 1024.0})
    np.testing.assert_allclose(delta_alone["delta_norm"], plain["delta_norm"], rtol=1e-12)


@pytest.mark.parametrize(
    ("factor", "names", "told"),
    [
        (
            65536.0,
            ("delta", "dw", "db"),
            "fc3: delta is 65536 times that of a softmax cross-entropy averaged",
        ),
        (24.0, ("delta", "dw", "db"), "fc3: delta is 24 times .* if the loss is a sum"),  # the examples
        (1024.0, ("dw",), "fc1: dw is 1024 times what x and delta give"),
        (1e-3, ("dw",), "fc1: dw is 0.001 times what x and delta give.*clipping"),
    ],
)
def test_a_factor_that_nobody_stated_is_found_out(factor, names, told):
    with pytest.raises(RecordingError, match=told):
        rows_of(times(of(), factor, names))


@pytest.mark.parametrize("scale", [0, -1.0, np.inf, {"w": 2.0}])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(RecordingError, match="scale: "):
        rows_of(of(), scale=scale)


def test_a_factor_on_everything_is_not_seen_where_the_loss_is_another():
    """Squared error: its delta is no multiple of softmax(z), so nothing is said of a factor on all of it."""
    layers = of()
    rng = np.random.default_rng(0)
    layers["fc3"] = layers["fc3"] | {"delta": rng.normal(size=(24, 3))}
    del layers["fc3"]["dw"]
    rows, _ = rows_of({"fc3": layers["fc3"]})
    assert rows.loc[1, "delta_norm"] == pytest.approx(np.linalg.norm(layers["fc3"]["delta"]))


# Wrong arrays ---------------------------------------------------------------------------------------------


def test_a_z_that_an_activation_in_place_has_overwritten_is_refused():
    layers = of()
    layers["fc1"]["z"] = layers["fc1"]["a"]
    with pytest.raises(
        RecordingError, match=r"fc1: z is already relu\(z\): an activation that works in place"
    ):
        rows_of(layers)
    bare = {key: {"z": a["z"], "delta": a["delta"]} for key, a in layers.items()}
    with pytest.raises(RecordingError, match=r"fc1: z is already relu\(z\)"):
        rows_of(bare)
    layers = of("tanh")
    layers["fc2"]["z"] = layers["fc2"]["a"]
    with pytest.raises(RecordingError, match=r"fc2: z is already tanh\(z\)"):
        rows_of(layers, "tanh")


def test_a_gradient_by_a_in_place_of_z_is_refused():
    layers = of("tanh")
    layers["fc1"]["delta"] = layers["fc2"]["delta"] @ layers["fc2"]["w"].T
    for name in ("dw", "db"):
        del layers["fc1"][name]
    with pytest.raises(RecordingError, match="fc1: delta is the gradient by a, not by z"):
        rows_of(layers, "tanh")


@pytest.mark.parametrize("sizes", [(5, 7, 6, 3), (6, 6, 6, 6)])
def test_a_transposed_matrix_is_refused_also_where_it_is_square(sizes):
    layers = of(sizes=sizes)
    for arrays in layers.values():
        arrays |= {name: arrays[name].T for name in ("w", "dw", "step")}
    with pytest.raises(RecordingError, match=r"w .*(transposed|\(inputs, units\))"):
        rows_of(layers)


def test_another_activation_than_the_stated_one_is_refused_or_left_out():
    with pytest.raises(RecordingError, match=r"fc1: a is not tanh\(z\)"):
        rows_of(of("sigmoid"), "tanh")
    layers = of("sigmoid")
    for arrays in layers.values():
        del arrays["a"]
    rows, recorder = rows_of(layers, "tanh")
    assert rows["dead_fraction"].isna().tolist() == [True, True, False]
    assert any("whether tanh is applied to this z is not seen" in note for note in recorder.notes)


def test_an_activation_that_is_unknown_here_leaves_out_what_needs_a_slope():
    rows, recorder = rows_of(of("tanh"), "my_own")
    assert rows["saturated_fraction"].isna().tolist() == [True, True, False]
    assert rows["a_var"].notna().all()  # a was given
    assert any("no slope: the activation 'my_own' is not known here" in note for note in recorder.notes)


def test_an_activation_that_learns_a_number_leaves_out_what_needs_a_slope():
    """The text says where it started, and a trained network has others."""
    rows, recorder = rows_of(of("relu"), "prelu")
    assert rows["dead_fraction"].isna().tolist() == [True, True, False]
    assert rows["delta_norm"].notna().all()
    assert any("no slope: the activation 'prelu' learns a number" in note for note in recorder.notes)


# A module used twice, accumulation, frozen parameters -----------------------------------------------------


def test_a_module_that_is_used_twice_has_a_layer_for_each_call():
    """z2 = f(z1)·w + b with the w of z1: the framework has one gradient, of both calls together."""
    net = Foreign(sizes=(6, 6, 6, 3), activation="tanh")
    net.w[1], net.b[1] = net.w[0], net.b[0]
    layers = net.step(lr=0.0)[1]
    together = layers["fc1"]["dw"] + layers["fc2"]["dw"]
    calls = {("shared", 1): layers["fc1"] | {"dw": together}, ("shared", 2): layers["fc2"] | {"dw": together}}
    rows, recorder = rows_of(calls | {"out": layers["fc3"]}, "tanh")
    assert recorder.records().runs["depth"][0] == 2
    np.testing.assert_allclose(rows["dw_norm"][[1, 2]], np.linalg.norm(together))
    np.testing.assert_allclose(
        rows["delta_norm"][[1, 2]], [np.linalg.norm(layers[name]["delta"]) for name in ("fc1", "fc2")]
    )
    assert not recorder.left_out()
    with pytest.raises(RecordingError, match="shared .call 1.: dw is 2 times"):
        rows_of({key: a | {"dw": 2 * together} for key, a in calls.items()} | {"out": layers["fc3"]}, "tanh")


def test_batches_that_are_accumulated_are_one_step_of_all_their_examples():
    """Four batches of 6 whose losses are divided by 4 give the gradients of one batch of 24."""
    whole = of()
    parts = [Foreign(activation="relu").step(rows=slice(6 * batch, 6 * batch + 6))[1] for batch in range(4)]
    joined = {}
    for key, arrays in whole.items():
        joined[key] = dict(arrays)
        for name in ("x", "z", "a", "delta"):
            scale = 1 / 4 if name == "delta" else 1
            joined[key][name] = np.concatenate([part[key][name] * scale for part in parts])
        joined[key]["dw"] = sum(part[key]["dw"] for part in parts) / 4
    found, _ = rows_of(joined)
    np.testing.assert_allclose(found.select_dtypes(float), rows_of(whole)[0].select_dtypes(float), rtol=1e-9)
    last_alone = {key: arrays | {"dw": joined[key]["dw"]} for key, arrays in parts[3].items()}
    _, recorder = rows_of(last_alone)
    assert any("dw is not xᵀ·delta alone" in note for note in recorder.notes)
    with pytest.raises(RecordingError, match="count the updates of the optimiser"):
        recorder.record(0, whole, loss=1.0)


def test_a_parameter_without_a_gradient_has_no_number_and_not_0():
    layers = of()
    layers["fc1"] |= {"dw": None, "db": None}
    rows, recorder = rows_of(layers)
    assert rows["dw_norm"].isna().tolist() == [True, False, False]
    assert rows["zero_fraction"].isna().tolist() == [True, False, False]
    assert any("fc1: no dw: None, as of a parameter without a gradient" in note for note in recorder.notes)
    zero = of()
    zero["fc1"] |= {"dw": np.zeros((5, 7)), "delta": np.zeros((24, 7))}
    assert rows_of(zero)[0].loc[1, "dw_norm"] == 0


# Shapes and formats ---------------------------------------------------------------------------------------


def test_a_convolution_is_read_as_examples_by_units_and_said():
    rng = np.random.default_rng(1)
    shapes = {
        "x": (8, 3, 5, 5),
        "z": (8, 4, 5, 5),
        "delta": (8, 4, 5, 5),
        "w": (3, 3, 3, 4),
        "dw": (3, 3, 3, 4),
    }
    conv = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    out = {"z": rng.normal(size=(8, 3)), "delta": rng.normal(size=(8, 3))}
    rows, recorder = rows_of({"conv": conv | {"activation": "relu"}, "out": out})
    assert "layer conv: z of the shape (8, 4, 5, 5) is read as 8 examples of 100 units" in recorder.notes
    assert rows.loc[1, "delta_norm"] == pytest.approx(np.linalg.norm(conv["delta"]))
    dead = (conv["z"] <= 0).all(axis=0).mean()
    assert rows.loc[1, "dead_fraction"] == dead
    assert np.isnan(rows["sign_agreement"].to_numpy() if "sign_agreement" in rows else np.nan).all()
    assert recorder.records().runs["norm"][0] == "recorded"


def test_tokens_of_a_dense_layer_are_examples():
    layers = of()
    tokens = {
        key: {n: v.reshape(4, 6, -1) if n in ("x", "z", "a", "delta") else v for n, v in a.items()}
        for key, a in layers.items()
    }
    found, recorder = rows_of(tokens)
    np.testing.assert_allclose(found.select_dtypes(float), rows_of(of())[0].select_dtypes(float), rtol=1e-12)
    assert any("fc1: z of the shape (4, 6, 7) is read as 24 examples of 7 units" in n for n in recorder.notes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_short_formats_are_measured_in_a_longer_one(dtype):
    """Half precision has 3 digits: entries of 1e-5 squared would be 0 in it, and their norm as well."""
    layers = times(of(), 1e-5, ("delta",))
    short = {key: {"delta": a["delta"].astype(dtype), "z": a["z"].astype(dtype)} for key, a in layers.items()}
    del short["fc3"]["z"]
    rows, _ = rows_of(short)
    wanted = [np.linalg.norm(a["delta"].astype(np.float64)) for a in short.values()]
    np.testing.assert_allclose(rows["delta_norm"], wanted, rtol=1e-6)
    assert rows["delta_norm"].min() > 0


def test_subnormal_numbers_of_half_precision_are_not_counted_as_those_of_float32():
    layers = {key: {n: v.astype(np.float16) for n, v in a.items()} for key, a in of().items()}
    _, recorder = rows_of(layers)
    assert "counts in float32 and float64 alone" in recorder.left_out()["subnormal_fraction"]
    assert recorder.records().runs["dtype"][0] == "float16"


def test_batches_may_change_in_size_and_that_is_said():
    recorder, net = Recorder("net", activation="tanh"), Foreign()
    for step, last in enumerate((24, 9)):
        loss, layers, _ = net.step(rows=slice(last))
        recorder.record(step, layers, loss=loss)
    assert "9 to 24 examples, so ‖delta‖ also changes" in recorder.records().layers.attrs["measured_on"]


# NaN ------------------------------------------------------------------------------------------------------


def test_a_run_ends_where_its_loss_is_no_longer_finite():
    recorder = Recorder("net", activation="tanh")
    net = Foreign()
    for step, loss in enumerate((1.0, np.nan, 1.0)):
        layers = net.step()[1]
        if step == 1:
            layers["fc2"]["delta"][0, 0] = np.nan
        recorder.record(step, layers, loss=loss)
    records = recorder.save()
    assert records.runs["status"].tolist() == ["diverged"]
    assert records.runs["diverged_at"].tolist() == [1]
    assert records.steps["step"].tolist() == [0, 1]
    assert np.isnan(records.layers.set_index(["step", "layer"]).loc[(1, 2), "delta_norm"])


def test_a_gradient_that_overflowed_is_infinite_and_not_left_out():
    """Of mixed precision: the optimiser skips such a step, and the loss is finite."""
    layers = of()
    layers["fc1"]["dw"][0, 0] = np.inf
    layers["fc2"]["dw"][0, 0] = np.nan
    rows, recorder = rows_of(layers)
    assert rows["dw_norm"].tolist()[0] == np.inf
    assert np.isnan(rows["dw_norm"].tolist()[1])
    assert recorder.records().runs["status"].tolist() == ["ok"]


# What a user mistypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fc": {"deltas": np.ones((4, 3))}}, "layer fc: unknown array 'deltas'.*Did you mean 'delta'"),
        ({"fc": {"z": np.ones(3)}}, r"layer fc: z has the shape \(3,\); it should be \(examples, units\)"),
        ({"fc": {"z": np.ones((4, 3)), "delta": np.ones((4, 2))}}, "layer fc: these should have one shape"),
        ({"fc": {"z": np.ones((4, 3)), "x": np.ones((5, 3))}}, "different numbers of examples: x 5, z 4"),
        ({"fc": {"z": np.array([["a"]])}}, "layer fc: z is of <U1; real numbers are needed"),
        ({"fc": {"w": np.ones((4, 3)), "b": np.ones(4)}}, "layer fc: b has 4 entries and w 3 units"),
        ({}, "no layer was given"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(given, told):
    with pytest.raises(RecordingError, match=told):
        rows_of(given)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"widht": 3}, "unknown setting 'widht'.*Did you mean 'width'"),
        ({"depth": 3}, "depth: is read off the arrays"),
        ({"seed": "0"}, "seed: '0' is not of the type int"),
    ],
)
def test_settings_that_are_none_are_refused(settings, told):
    with pytest.raises(RecordingError, match=told):
        Recorder("net", **settings)


def test_layers_may_not_change():
    recorder = Recorder("net", activation="relu")
    recorder.record(0, of(), loss=1.0)
    with pytest.raises(
        RecordingError, match="layers: fc1; at the first recorded step they were fc1, fc2, fc3"
    ):
        recorder.record(1, {"fc1": of()["fc1"]}, loss=1.0)


def test_a_tensor_that_is_no_array_is_refused_in_a_sentence():
    class Tensor:
        def __array__(self, *_, **__):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nmore")

    with pytest.raises(
        RecordingError, match="z is no array .Can't call numpy.* detach it and copy it to the CPU"
    ):
        rows_of({"fc": {"z": Tensor()}})


def test_gradients_alone_can_be_stored_summarised_and_reported(report):
    recorder = Recorder("net")
    recorder.record(0, {key: {"delta": a["delta"]} for key, a in of().items()}, loss=1.0)
    recorder.save()
    assert [path.name for path in plot("net")] == ["report.html"]
    assert len(summarised(load("net"))) == 1

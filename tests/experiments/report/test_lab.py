"""The lab: its session against the engine's own runs, its links, its page, its server, and a real browser."""

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.cli.entry import main
from experiments.config import ConfigError, Recording, Run
from experiments.report.lab import address, server
from experiments.report.lab.presets import PRESETS
from experiments.report.lab.session import GRID, PROBE_SET, RECENT, Session
from experiments.report.lab.widgets import AHEAD, CHOICES, LEAKY, Lab, ratio, sentence
from experiments.sweeps.runner import run_stack

ROOT = Path(__file__).resolve().parents[3]
SMALL = Run(activation="relu", depth=3, width=16, dataset="moons(n=300)", init="he_normal", lr=0.1)
MEASURES = ("delta_log10", "dead_fraction")


def stored(run, steps, **changed):
    """The frames of the same run by the way that `run.py` takes."""
    recording = Recording(MEASURES, watch=tuple(steps), probe_set=PROBE_SET)
    return run_stack([replace(run, steps=max(steps), **changed)], recording)


def as_lab(frames, step):
    """Loss, accuracy, delta by layer and dead by hidden layer, from stored frames."""
    row = frames.steps[frames.steps["step"] == step].iloc[0]
    layers = frames.layers[frames.layers["step"] == step].sort_values("layer")
    return row["loss"], row["accuracy"], layers["delta_log10"].tolist(), layers["dead_fraction"].tolist()[:-1]


def told(moment):
    frame = moment.frame
    return frame.loss, frame.accuracy, frame.delta.tolist(), frame.dead.tolist()


# The session ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_session_with_an_oversized_step_is_the_run_of_that_schedule_bit_for_bit(norm):
    """Paused, stepped at two strides, gone back and forth: nothing of it may change a number."""
    run = replace(SMALL, norm=norm)
    session = Session([run, replace(run, activation="tanh")])
    session.advance(5)
    session.oversized(30.0)
    session.back()
    session.back()
    for steps in (2, 2, 1):
        session.advance(steps)
    session.oversized(30.0)
    session.advance(4)
    assert session.now[0].frame.step == 10
    expected = as_lab(stored(run, [0, 10], schedule="shock(at=5, factor=30)"), 10)
    assert told(session.now[0]) == expected
    other = as_lab(stored(run, [0, 10], schedule="shock(at=5, factor=30)", activation="tanh"), 10)
    assert told(session.now[1]) == other
    assert as_lab(stored(run, [0, 10]), 10) != expected


def test_back_undoes_whatever_was_done_last():
    session = Session([SMALL, SMALL])
    for _ in range(3):
        session.advance(2)
    before = [told(moment) for moment in session.now]
    session.switch(1, LEAKY)
    assert session.now[1].frame.step == 6
    assert session.now[1].activation == LEAKY
    assert [told(moment) for moment in session.now] != before
    assert session.back()
    assert [told(moment) for moment in session.now] == before
    assert session.now[1].activation == "relu"
    assert not session.now[1].events
    while session.back():
        pass
    assert session.now[0].frame.step == 0
    assert told(session.now[0]) == as_lab(stored(SMALL, [0, 1]), 0)


def test_back_undoes_a_change_to_an_activation_with_one_number_fewer():
    session = Session([replace(SMALL, activation="prelu")] * 2)
    session.advance(3)
    before = [told(moment) for moment in session.now]
    session.switch(1, LEAKY)
    session.advance(2)
    assert session.back()
    assert session.back()
    assert [told(moment) for moment in session.now] == before


def test_leaky_units_are_never_dead_and_the_other_network_stays_as_it_is():
    run = replace(SMALL, bias="normal(std=3)")  # many units are born dead
    session = Session([run, run])
    session.switch(1, LEAKY)
    first, second = session.now
    assert first.frame.dead.max() > 0.1
    assert not second.frame.dead.any()
    assert np.array_equal(first.params, second.params)
    assert second.events == ((0, f"{LEAKY} from here on"),)


def test_the_plane_is_the_second_class_s_probability():
    session = Session([SMALL])
    session.advance(300)
    plane, data = session.now[0].frame.plane, session.trainees[0].data
    left, right, low, high = session.trainees[0].plane
    side = len(plane) - 1
    column = np.rint((data.x[:, 0] - left) / (right - left) * side).astype(int)
    row = np.rint((data.x[:, 1] - low) / (high - low) * side).astype(int)
    assert plane.shape == (side + 1, side + 1)
    assert np.mean((plane[row, column] > 0.5) == data.y) > 0.9  # learnt, and not transposed
    assert Session([replace(SMALL, dataset="digits")]).now[0].frame.plane is None


def test_a_diverged_network_goes_on_as_nan_and_the_other_does_not_notice():
    session = Session([replace(SMALL, lr=1e9), SMALL])
    for _ in range(5):
        session.advance(1)
    assert np.isnan(session.now[0].frame.loss)
    assert "diverged" in sentence(session.now[0])
    assert told(session.now[1]) == as_lab(stored(SMALL, [0, 5]), 5)


def test_what_can_be_gone_back_to_is_bounded_and_keeps_both_ends(monkeypatch):
    monkeypatch.setattr("experiments.report.lab.session.KEPT", 60)
    session = Session([replace(SMALL, width=4, depth=1)])
    for _ in range(100):
        session.advance(1)
    steps = [moments[0].frame.step for moments in session.history]
    assert len(steps) <= 60
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    assert steps[-RECENT:] == list(range(101 - RECENT, 101))


# Links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_link_sets_every_control_and_reads_back_as_it_was(name):
    asked = address.read([("preset", name)])
    changed = replace(asked, speed=5, runs=tuple(replace(run, seed=7, lr=0.1) for run in asked.runs))
    alone = replace(changed, runs=changed.runs[:1])
    for each in (asked, changed, alone):
        assert address.read(address.words_of(each)) == each
    assert {"dataset", "seed", "speed", "factor"} <= {key for key, _ in address.words_of(asked)}


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("dpth", "3", "Did you mean 'depth'?"),
        ("depth", "0", "not a whole number from 1 to 100"),
        ("a.activation", "rleu", "Did you mean 'relu'?"),
        ("c.depth", "3", "unknown key 'c.depth'"),
        (".depth", "3", "unknown key '.depth'"),
        ("a.seed", "3", "unknown key 'a.seed'"),
        ("preset", "dyin", "Did you mean dying?"),
        ("dataset", "file(path='/etc/passwd')", "the lab has no 'file'"),
        ("dataset", "spirals(n=20000)", "too many"),
        ("lr", "fast", "not a number"),
        ("lr", "9" * 5000, "too long"),
    ],
)
def test_a_wrong_word_is_named_with_what_there_is(key, text, told):
    with pytest.raises(ConfigError, match=r"\w") as found:
        address.read([(key, text)])
    assert told.lower().replace("'", "") in str(found.value).lower().replace("'", "")
    assert len(str(found.value)) < 400


@pytest.mark.parametrize(("field", "texts"), CHOICES.items())
def test_every_choice_of_a_control_can_be_made(field, texts):
    for text in texts:
        assert address.read([(field, text)])


# The lessons say what is seen -----------------------------------------------------------------------------


def test_the_lesson_on_depth_shows_what_its_note_says():
    session = Session(address.read([("preset", "vanishing")]).runs)
    start = session.now[1].frame.delta
    assert 1e-6 < 10 ** (start[0] - start[-2]) < 4e-6  # "two millionths"
    session.advance(200)
    shallow, deep = (moment.frame for moment in session.now)
    assert shallow.accuracy > 0.9
    assert deep.accuracy < 0.15
    assert not deep.dead.any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("remedy", "helps"),
    [
        ({"init": "he_normal"}, False),
        ({"norm": "batch"}, True),
        ({"residual": 1.0}, True),
        ({"activation": "relu", "lr": 0.1}, True),
    ],
)
def test_the_answers_that_the_note_on_depth_promises(remedy, helps):
    deep = address.read([("preset", "vanishing")]).runs[1]
    session = Session([replace(deep, **remedy)])
    session.advance(200)
    assert (session.now[0].frame.accuracy > 0.8) is helps


@pytest.mark.slow
@pytest.mark.parametrize("at", [10, 30, 45])
def test_the_lesson_on_dying_bears_a_teacher_who_is_early_or_late(at):
    asked = address.read([("preset", "dying")])
    session = Session(asked.runs)
    session.advance(at)
    session.oversized(asked.factor)
    session.switch(1, LEAKY)
    session.advance(300)
    assert min(moment.frame.accuracy for moment in session.now) > 0.9


@pytest.mark.slow
def test_the_lesson_on_dying_shows_what_its_note_says():
    asked = address.read([("preset", "dying")])
    session = Session(asked.runs)
    session.advance(20)
    assert told(session.now[0]) == told(session.now[1])
    session.oversized(asked.factor)
    assert session.now[0].frame.dead[1:] == pytest.approx([0.38, 0.38], abs=0.05)  # "more than a third"
    session.switch(1, LEAKY)
    session.advance(400)
    relu, leaky = (moment.frame for moment in session.now)
    assert relu.dead.min() > 0.1
    assert not leaky.dead.any()
    assert min(relu.accuracy, leaky.accuracy) > 0.9


@pytest.mark.slow
def test_the_lesson_on_initialisation_shows_what_its_note_says():
    asked = address.read([("preset", "initialisation")])
    session = Session(asked.runs)
    session.advance(100)
    small, he = (moment.frame for moment in session.now)
    assert small.accuracy < 0.15
    assert he.accuracy > 0.9
    normed = Session([replace(asked.runs[0], norm="batch")])
    normed.advance(100)
    assert normed.now[0].frame.accuracy > 0.9  # "norm batch makes the size of the weights irrelevant"


# The page -------------------------------------------------------------------------------------------------


ASKED = {"dataset": "moons(n=300)", "depth": "3", "width": "8"}


@pytest.fixture(scope="module")
def opened():
    from bokeh.document import Document

    return Lab(Document(), address.read(ASKED.items()))


@pytest.fixture
def lab(opened):
    """The page as it is opened; making its widgets anew takes a second."""
    opened.asked = address.read(ASKED.items())
    opened._show_choices()
    opened.begin()
    return opened


def test_the_page_draws_what_the_session_measured(lab):
    lab.step()
    lab.step()
    moment = lab.session.now[1]
    drawn = lab.panels.layers.data
    assert drawn["delta_b"].tolist() == moment.frame.delta.tolist()
    assert drawn["dead_b"].tolist()[:-1] == moment.frame.dead.tolist()
    assert lab.panels.curves.data["step"].tolist() == [0, 1, 2]
    assert lab.panels.curves.data["loss_b"][-1] == moment.frame.loss
    assert lab.panels.planes[1].data["image"][0].shape == (GRID, GRID)
    assert sentence(moment) in lab.cards[1].text
    lab.shock()
    assert list(lab.panels.marks.data["step"]) == [2]
    lab.back()
    assert not list(lab.panels.marks.data["step"])
    assert lab.panels.curves.data["step"].tolist() == [0, 1, 2]


def test_an_exact_zero_lies_on_a_floor_below_every_number(lab):
    lab.selects["a.init"].value = "normal(std=0)"
    drawn = lab.panels.layers.data
    assert np.isnan(drawn["delta_a"][0])
    assert np.isfinite(drawn["zero_a"][0])
    assert drawn["zero_a"][0] < np.nanmin(drawn["delta_b"])
    assert lab.panels.gradient.y_range.start < drawn["zero_a"][0]
    assert "no gradient at all" in lab.cards[0].text


def test_networks_of_unlike_depth_share_an_axis_and_no_number(lab):
    lab.selects["b.depth"].value = "5"
    drawn = lab.panels.layers.data
    assert drawn["layer"].tolist() == [1, 2, 3, 4, 5, 6]
    assert np.isnan(drawn["delta_a"]).tolist() == [False] * 4 + [True] * 2
    assert drawn["delta_b"].tolist() == lab.session.now[1].frame.delta.tolist()
    lab.selects["networks"].value = "1"
    assert np.isnan(lab.panels.layers.data["delta_b"]).all()
    assert np.isnan(lab.panels.curves.data["loss_b"]).all()


def test_every_control_changes_what_is_trained_and_the_link(lab):
    lab.selects["b.activation"].value = "tanh"
    assert [run.activation for run in lab.session.trainees and lab.asked.runs] == ["sigmoid", "tanh"]
    lab.selects["seed"].value = "3"
    assert {trainee.run.seed for trainee in lab.session.trainees} == {3}
    assert "b.activation=tanh" in lab.link.tags[0]
    assert "seed=3" in lab.link.tags[0]
    lab.selects["networks"].value = "1"
    assert len(lab.session.trainees) == 1
    assert lab.buttons["leaky_b"].disabled
    lab.selects["preset"].value = "dying"
    assert lab.asked == address.read([("preset", "dying")])
    assert lab.selects["a.init"].value == "he_normal"
    assert lab.link.tags[1] is False  # no plane for digits


def test_it_waits_for_a_browser_that_draws_slowly_and_goes_on_without_one(lab, monkeypatch):
    lab.toggle()
    assert lab.run.label == "Pause"
    for _ in range(5):
        lab.tick()
    ahead = lab.session.now[0].frame.step
    lab.echo.tags = [lab.sent]
    lab.tick()
    assert lab.session.now[0].frame.step == ahead + 1
    assert ahead <= AHEAD
    monkeypatch.setattr("experiments.report.lab.widgets.PATIENCE", 0.0)
    for _ in range(3):
        lab.tick()
    assert lab.session.now[0].frame.step == ahead + 4
    lab.toggle()
    assert lab.run.label == "Run"


def test_a_dark_and_wide_window_gets_other_ink_and_larger_type(lab):
    before = lab.panels.gradient.xaxis[0].axis_label_text_color
    lab.view.tags = [1920, True]
    axis = lab.panels.gradient.xaxis[0]
    assert axis.axis_label_text_color != before
    assert axis.major_label_text_font_size == "22px"


@pytest.mark.parametrize(("log10", "text"), [(-0.5, "0.32"), (-5.9, "10⁻⁶"), (0.0, "1"), (4.2, "10⁴")])
def test_a_ratio_is_written_as_it_is_said(log10, text):
    assert ratio(log10) == text


# The server -----------------------------------------------------------------------------------------------


def test_it_listens_on_this_machine_alone_and_answers_no_other_site():
    from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
    from tornado.websocket import websocket_connect

    async def visit():
        served, port = server.make_server(0)
        served.start()
        try:
            addresses = {each.getsockname()[0] for each in served._http._sockets.values()}
            page = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/?depth=0")
            refused = HTTPRequest(f"ws://127.0.0.1:{port}/ws", headers={"Origin": "http://evil.example"})
            with pytest.raises(HTTPClientError, match="403"):
                await websocket_connect(refused)
            with pytest.raises(ConfigError, match=rf"port {port} is taken; try --port {port + 1}"):
                server.make_server(port)
        finally:
            served.stop()
            served._http.stop()
        return addresses, page.body.decode()

    addresses, page = asyncio.run(visit())
    assert addresses == {"127.0.0.1"}
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert not [source for source in sources if "//" in source]  # nothing is fetched from elsewhere


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dyin"], "Did you mean dying?"),
        (["depth=ten"], "depth: 'ten' is not a whole number"),
        (["--port", "70000"], "whole number from 0 to 65535"),
        (["--prot", "1"], "--prot"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(words, told, capsys):
    assert main("live", words) == 2
    said = capsys.readouterr()
    assert told.replace("'", "") in said.err.replace("'", "")
    assert said.err.count("\n") == 1
    assert not said.out


BUTTONS = """(() => {
  const below = (e) => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e];
  const all = (root) => [...root.querySelectorAll("*")].flatMap(below);
  const buttons = () => all(document).filter((e) => e.tagName === "BUTTON");
  window.named = (text) => buttons().find((e) => e.textContent.trim() === text);
  window.words = () => all(document).map((e) => /^(P|H2)$/.test(e.tagName) ? e.textContent : "").join(" ");
  return buttons().length;
})()"""


def test_in_a_browser_it_trains_as_one_watches(window, tmp_path):
    command = [sys.executable, str(ROOT / "scripts/live.py"), "dying", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as served:
        try:
            link = re.search(r"http://\S+", served.stdout.readline())[0]
            with window.online():
                watched(window, link + "&dataset=moons(n=300)&width=8")
        finally:
            served.terminate()
        assert "closed" in served.stdout.read()
    assert served.returncode == 0
    assert not list(tmp_path.iterdir())  # nothing was written


def watched(window, link):
    window.look(1400)
    window.open("about:blank")
    window.complaints()
    window.open(link)
    window.wait("document.documentElement.dataset.ready === 'yes'")
    assert window.js(BUTTONS) == 7
    window.js("named('Run').focus()")
    window.press("Space")
    window.wait("/Step [1-9][0-9]/.test(words())")
    window.wait("named('Pause')")
    window.js("named('Pause').focus()")
    window.press("Space")
    window.wait("named('Run')")
    window.js("named('One oversized step').click()")
    window.js("named('B: leaky from here on').click()")
    window.wait("/B · leaky_relu/.test(words())")
    assert "preset=dying" in window.js("location.search")
    assert window.js("document.documentElement.scrollWidth <= innerWidth")
    assert not window.complaints()

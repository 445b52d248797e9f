"""The lab: its links, its page, its server, and a real browser."""

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.cli.entry import main
from experiments.config import ConfigError
from experiments.report.lab import address, server
from experiments.report.lab.presets import PRESETS
from experiments.report.lab.session import GRID
from experiments.report.lab.widgets import AHEAD, CHOICES, Lab, ratio, sentence

ROOT = Path(__file__).resolve().parents[3]

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

"""One page of the lab: controls, pictures, sentences, and the clock by which it trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.wording import number
from experiments.config import ConfigError
from experiments.plots import style
from experiments.report.lab import address
from experiments.report.lab.address import NAMES, OF_ONE, Asked
from experiments.report.lab.lab_panels import Panels, looks
from experiments.report.lab.presets import PRESETS
from experiments.report.lab.session import Moment, Session
from mlp.activations import ACTIVATIONS

if TYPE_CHECKING:
    from bokeh.document import Document

HERE = Path(__file__).parent
HIDDEN = ("pulse", "echo", "view", "link")  # by which browser and server talk
LEAKY = "leaky_relu(slope=0.1)"
PERIOD = 10  # milliseconds between two updates of the screen, if training takes less
AHEAD = 4  # updates that the browser may not have drawn yet: what is on its way while it draws
PATIENCE = 1.0  # seconds after which it goes on although the browser has not answered
CURVES = 0.1  # seconds between two drawings of the curves over steps and of the planes, while it trains
READ = 0.25  # seconds that a sentence stands while it trains: a faster one cannot be read, and costs drawing
TYPE = 0.0115  # size of type, as a share of the window's width: 22 pixels of 1920
CHOICES = {
    "activation": [*style.in_order(ACTIVATIONS, "activation"), LEAKY],
    "depth": ["1", "2", "3", "5", "10", "20", "30", "50"],
    "width": ["4", "8", "16", "32", "64", "128", "256"],
    "init": ["xavier_normal", "he_normal", "lecun_normal", "orthogonal", "normal(std=0.05)",
             "normal(std=0.3)", "scaled_normal(gain=10.15)"],
    "lr": ["0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5"],
    "norm": ["none", "layer", "batch"],
    "residual": ["0", "0.5", "1"],
    "dataset": ["digits", "digits(scale=unit)", "circles", "moons", "spirals", "xor"],
    "seed": [str(seed) for seed in range(10)],
    "speed": ["1", "2", "5", "10", "50"],
    "factor": ["10", "50", "100", "200", "300", "1000"],
}  # fmt: skip
WORDS = {"init": "initialiser", "lr": "learning rate", "norm": "normalisation", "residual": "skips",
         "dataset": "data", "speed": "updates a picture", "factor": "oversized step, ×"}  # fmt: skip
# The browser answers each picture that it has drawn, and says how wide and how dark its window is.
ANSWER = "requestAnimationFrame(() => { echo.tags = [...cb_obj.tags]; })"
WINDOW = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const tell = () => { view.tags = [innerWidth, dark.matches]; };
dark.addEventListener("change", tell);
addEventListener("resize", tell);
tell();
document.documentElement.dataset.ready = "yes";
"""
LINK = """
history.replaceState(null, "", "?" + link.tags[0]);
document.querySelector(".panels").classList.toggle("flat", link.tags[1]);
"""


class Lab:
    """What one browser window shows and controls. `asked` is what it is set to."""

    def __init__(self, document: Document, asked: Asked, trouble: str = "") -> None:
        self.document, self.asked, self.trouble = document, asked, trouble
        self.running: Any = None  # the periodic call while it trains
        self.sent, self.dark, self.size = 0, False, 18
        self.sent_at = self.told_at = self.way_at = 0.0  # when it last did so, in seconds of a clock
        self.panels = Panels()
        self._make_controls()
        self._make_texts()
        self._put_together()
        self.begin()

    # -- what there is ----------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        from bokeh.models import Button, Select

        def button(label: str, work: Callable[[], Any], kind: str = "default") -> Button:
            made = Button(label=label, button_type=kind)
            made.on_click(lambda: self._guarded(work))
            return made

        self.run = button("Run", self.toggle, "primary")
        self.buttons = {
            "run": self.run,
            "step": button("Step", self.step),
            "back": button("Back", self.back),
            "again": button("Start again", self.begin),
            "shock": button("One oversized step", self.shock),
            "leaky_a": button("A: leaky from here on", lambda: self.leaky(0)),
            "leaky_b": button("B: leaky from here on", lambda: self.leaky(1)),
        }
        self.selects: dict[str, Select] = {
            "preset": Select(title="lesson", options=[(key, p.name) for key, p in PRESETS.items()]),
            "networks": Select(title="networks", options=[("2", "A and B"), ("1", "A alone")]),
        }
        for name in ("dataset", "seed", "speed", "factor"):
            self.selects[name] = Select(title=WORDS.get(name, name), options=CHOICES[name])
        for which in NAMES:
            for name in OF_ONE:
                self.selects[f"{which}.{name}"] = Select(title=WORDS.get(name, name), options=CHOICES[name])
        self._show_choices()
        for key, select in self.selects.items():
            select.on_change("value", lambda attr, old, new, key=key: self._chosen(key, new))

    def _make_texts(self) -> None:
        from bokeh.models import CustomJS, Div

        self.question, self.error, self.note = Div(), Div(), Div()
        self.cards = [Div() for _ in NAMES]
        self.pulse, self.echo, self.view, self.link = Div(), Div(), Div(), Div()
        self.pulse.js_on_change("tags", CustomJS(args={"echo": self.echo}, code=ANSWER))
        linked = CustomJS(args={"link": self.link}, code=LINK)
        self.link.js_on_change("tags", linked)
        self.view.on_change("tags", lambda attr, old, new: self._seen(*new))
        self.document.js_on_event("document_ready", CustomJS(args={"view": self.view}, code=WINDOW), linked)

    def _put_together(self) -> None:
        from bokeh.core.templates import get_env
        from bokeh.models import InlineStyleSheet

        sheet = InlineStyleSheet(css=(HERE / "widgets.css").read_text(encoding="utf-8"))
        roots: dict[str, Any] = {
            **{f"button_{key}": made for key, made in self.buttons.items()},
            **{f"select_{key.replace('.', '_')}": made for key, made in self.selects.items()},
            **{f"card_{name}": card for name, card in zip(NAMES, self.cards, strict=True)},
            **{name: getattr(self, name) for name in ("question", "error", "note", *HIDDEN)},
        }  # fmt: skip
        for name, made in roots.items():
            made.name, made.sizing_mode, made.margin, made.stylesheets = name, "stretch_width", 0, [sheet]
        for name, made in self.panels.figures.items():
            made.name = name
        with self.document.models.freeze():  # else all models are gathered anew with every root
            for made in (*roots.values(), *self.panels.figures.values()):
                self.document.add_root(made)
        self.document.title = "The lab: networks in training"
        page = (HERE / "lab.html").read_text(encoding="utf-8")
        self.document.template = get_env().from_string("{% extends base %}\n" + page)
        css = (HERE / "lab.css").read_text(encoding="utf-8")
        self.document.template_variables.update(css=css, of_one=OF_ONE, names=NAMES, hidden=HIDDEN)

    # -- what is done -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin anew, at step 0, with what is asked for."""
        self.session = Session(self.asked.runs)
        with self.document.models.freeze():
            self.restyle()
            self.panels.begin(self.session)
        preset = PRESETS[self.asked.preset]
        self.question.text = f"<h1>{escape(preset.question)}</h1>"
        self.note.text = f"<h2>For the teacher: {escape(preset.name)}</h2><p>{escape(preset.note)}</p>"
        self._link()
        self.show(drawn=True)

    def toggle(self) -> None:
        """Run, or pause."""
        if self.running is None:
            self.running = self.document.add_periodic_callback(self.tick, PERIOD)
        else:
            self.document.remove_periodic_callback(self.running)
            self.running = None
        self.run.label = "Run" if self.running is None else "Pause"
        self.panels.draw(self.session)
        self._tell()

    def tick(self) -> None:
        """Train and show, unless the browser has not drawn what it was sent before."""
        behind = self.sent - int((self.echo.tags or [0])[0])
        if behind >= AHEAD and time.monotonic() - self.sent_at < PATIENCE:
            return
        if not self.session.advance(self.asked.speed) and self.running is not None:
            self.toggle()
        self.show()

    def step(self) -> None:
        """Make one update and show it."""
        self.session.advance(1)
        self.show()

    def back(self) -> None:
        """Undo what was done last."""
        self.session.back()
        self.show()

    def shock(self) -> None:
        """Make one oversized step with both networks."""
        self.session.oversized(self.asked.factor)
        self.show()

    def leaky(self, which: int) -> None:
        """Make one network's units leaky from here on."""
        if which < len(self.session.trainees):
            self.session.switch(which, LEAKY)
            self.show()

    def show(self, *, drawn: bool = False) -> None:
        """Bring the page up to the session."""
        now = time.monotonic()
        way = self.running is None or now - self.way_at >= CURVES
        if not drawn:
            self.panels.draw(self.session, way=way)
        if way:
            self.way_at = now
        if self.running is None or now - self.told_at >= READ:
            self._tell()
        self.sent, self.sent_at = self.sent + 1, now
        self.pulse.tags = [self.sent]

    def _tell(self) -> None:
        """Bring buttons and sentences up to the session."""
        self.told_at = time.monotonic()
        self.buttons["back"].disabled = len(self.session.history) < 2
        self.buttons["leaky_b"].disabled = len(self.session.trainees) < 2
        colours = looks(self.asked.runs, dark=self.dark)
        for which, card in enumerate(self.cards):
            there = which < len(self.session.trainees)
            card.text = self._card(which, colours[which][0]) if there else ""
        self.error.text = f"<p role='alert'>{escape(self.trouble)}</p>"
        self.error.visible = bool(self.trouble)

    def _link(self) -> None:
        """Let the address say what is set, and the page make room for a plane of two features."""
        self.link.tags = [address.query(self.asked), bool(self.session.trainees[0].plane)]

    def restyle(self) -> None:
        """Draw in the colours and the size of type of this window."""
        self.panels.restyle(self.asked.runs, self.size, dark=self.dark)

    def _card(self, which: int, colour: str) -> str:
        run, moment = self.asked.runs[which], self.session.now[which]
        head = f"{NAMES[which].upper()} · {moment.activation}, {run.depth} × {run.width}, {run.init}"
        chip = f"<span style='background:{colour}'></span>"
        return f"<h2>{chip}{escape(head)}</h2><p>{escape(sentence(moment))}</p>"

    # -- what the reader does ---------------------------------------------------------------------------

    def _chosen(self, key: str, value: str) -> None:
        if self._showing:
            return
        self.trouble = ""
        try:
            self._ask(key, value)
        except ConfigError as error:
            self.trouble = str(error)
        self._show_choices()
        if key in ("speed", "factor"):  # which change no network
            self._link()
        else:
            self.begin()

    def _ask(self, key: str, value: str) -> None:
        which, dot, field = key.rpartition(".")
        if key == "preset":
            self.asked = address.read([("preset", value)])
        elif key in ("speed", "factor"):
            self.asked = replace(self.asked, **{key: int(value) if key == "speed" else float(value)})
        elif key == "networks":
            first, *others = self.asked.runs
            other = others[0] if others else first
            self.asked = replace(self.asked, runs=(first, other)[: int(value)])
        else:
            place = NAMES.index(which) if dot else None
            self.asked = address.with_field(self.asked, place, field, value)

    def _show_choices(self) -> None:
        """Set every control to what is asked for; a value that a link brought becomes a choice."""
        self._showing = True
        texts = dict(address.words_of(self.asked))
        for which, run in zip(NAMES, self.asked.runs, strict=False):
            texts |= {f"{which}.{name}": address.shown(getattr(run, name)) for name in OF_ONE}
        for key, select in self.selects.items():
            value = texts.get(key, select.value or select.options[0])
            known = [option if isinstance(option, str) else option[0] for option in select.options]
            if value not in known:
                select.options = [*select.options, value]
            select.value = value
            select.disabled = key.startswith("b.") and len(self.asked.runs) < 2
        self._showing = False

    def _seen(self, width: float, dark: bool) -> None:
        size = int(np.clip(round(TYPE * width), 13, 30))
        if (size, bool(dark)) != (self.size, self.dark):
            self.size, self.dark = size, bool(dark)
            self.restyle()
            self.show()

    def _guarded(self, work: Callable[[], Any]) -> None:
        """Do what a button is for; memory that does not suffice is said and not fatal."""
        try:
            work()
        except MemoryError:
            self.trouble = "out of memory: make depth or width smaller"
            self.show()


def sentence(moment: Moment) -> str:
    """What a network is like now, in words and numbers."""
    frame = moment.frame
    if not np.isfinite(frame.loss):
        return f"Step {frame.step}: it has diverged; its loss is no number any more."
    learnt = f"Step {frame.step}: loss {number(frame.loss)}, accuracy {100 * frame.accuracy:.0f} %."
    dead = f"{100 * frame.dead.mean():.0f} % of its units are dead."
    first, last = frame.delta[0], frame.delta[-2]  # of the hidden layers
    if np.isneginf(first):
        return f"{learnt} Layer 1 gets no gradient at all. {dead}"
    if len(frame.dead) < 2 or not np.isfinite(last):
        return f"{learnt} {dead}"
    return (
        f"{learnt} Layer 1 gets {ratio(first - last)} times the gradient of layer {len(frame.dead)}. {dead}"
    )


def ratio(log10: float) -> str:
    """A factor as people read it: 0.24, or 10⁻⁶ where it is far from 1."""
    if abs(log10) < 3:
        return number(10**log10, 2)
    return "10" + "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(sign)] for sign in str(round(log10)))

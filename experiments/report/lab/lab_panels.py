"""The lab's pictures: gradient and dead units by layer, loss and accuracy by step, and boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.config import Run
from experiments.plots import style
from experiments.report.explorer import BAND, MARKS
from experiments.report.lab.address import NAMES
from experiments.report.lab.session import Moment, Session
from experiments.theory.of_records import predicted

if TYPE_CHECKING:
    from bokeh.plotting import figure

Array = npt.NDArray[Any]
POWERS = """
const digits = String(tick).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
return Number.isInteger(tick) ? "10" + digits : "";
"""
INK = {False: "#1d1f22", True: "#e8e9ea"}  # of type, on light and on dark, as in a report
FAINT = {False: "#c9ccd0", True: "#454a51"}
FONT = "system-ui, sans-serif"  # bokeh's own, Helvetica, is a serif where it is missing
CLASSES = (style.TURN[2], style.TURN[3])  # two colours that no network has
BY_LAYER = ("delta", "theory", "low", "high", "dead", "zero")
BY_STEP = ("loss", "accuracy")
OPEN = 0.5  # decades above the largest and below the smallest that is drawn


def looks(runs: Sequence[Run], *, dark: bool) -> list[tuple[str, str]]:
    """Colour and marker of each network: its activation's, or of equal ones two others."""
    texts = [run.activation for run in runs]
    if len(set(texts)) == len(texts):
        found = [style.looks(texts, "activation")[text] for text in texts]
    else:
        found = [style.looks(["A", "B"])[name] for name in ("A", "B")]
    ink = [style.ON_DARK.get(look.colour, look.colour) if dark else look.colour for look in found]
    return [(colour, MARKS.get(look.marker, "circle")) for colour, look in zip(ink, found, strict=True)]


def expected(run: Run, examples: int, classes: int) -> tuple[Array, Array, Array]:
    """Theory's log10 ‖delta‖ before the first update, by layer: centre, low and high; empty for none."""
    found = predicted(
        run.activation, run.depth, run.width, run.dataset, run.init, run.bias, run.norm, run.residual,
        run.loss, examples * classes,
    ).frame("delta_log10", BAND)  # fmt: skip
    centre, low, high = (found[name].to_numpy(float) for name in ("median", "low", "high"))
    return centre, low, high


class Panels:
    """The figures and what they are drawn from. `draw` shows a session's present moment."""

    def __init__(self) -> None:
        from bokeh.models import ColumnDataSource

        # One source for both networks: the browser draws a picture once for each that has changed.
        self.layers = ColumnDataSource({"layer": [], **_columns(BY_LAYER)})
        self.curves = ColumnDataSource({"step": [], **_columns(BY_STEP)})
        self.planes = [ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []}) for _ in NAMES]
        self.examples = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.marks = ColumnDataSource({"step": []})
        self.glyphs: list[list[Any]] = [[] for _ in NAMES]  # of each network, with its colour
        self.gradient, self.dead = self._by_layer(), self._by_layer()
        self.loss, self.accuracy = self._by_step(), self._by_step()
        self.boundaries = [self._boundary(i) for i in range(len(NAMES))]
        self._draw_lines()

    @property
    def figures(self) -> dict[str, figure]:
        """Every figure by its name on the page."""
        named = {f"boundary_{n}": f for n, f in zip(NAMES, self.boundaries, strict=True)}
        return {
            "gradient": self.gradient, "dead": self.dead,
            "loss": self.loss, "accuracy": self.accuracy, **named,
        }  # fmt: skip

    # -- what is drawn with -----------------------------------------------------------------------------

    def _figure(self, x: str, **more: Any) -> figure:
        from bokeh.plotting import figure

        made = figure(
            sizing_mode="stretch_both", toolbar_location=None, tools="", x_axis_label=x,
            output_backend="canvas", min_border=4, **more,
        )  # fmt: skip
        made.background_fill_color = made.border_fill_color = None
        made.outline_line_color = None
        return made

    def _by_layer(self) -> figure:
        return self._figure("layer, counted from the input", x_range=(0.5, 3.5), y_range=(-0.04, 1.06))

    def _by_step(self) -> figure:
        from bokeh.models import Range1d

        return self._figure("step", x_range=Range1d(0, 10), y_range=Range1d(0, 1.04))

    def _boundary(self, which: int) -> figure:
        from bokeh.models import LinearColorMapper

        made = self._figure("", x_range=(-1, 1), y_range=(-1, 1), visible=False)
        made.axis.visible, made.grid.visible = False, False
        shades = _between(CLASSES[0], "#ffffff", CLASSES[1])
        made.image("image", x="x", y="y", dw="dw", dh="dh", source=self.planes[which], alpha=0.75,
                   color_mapper=LinearColorMapper(palette=shades, low=0, high=1))  # fmt: skip
        made.scatter("x", "y", source=self.examples, size=6, fill_color="colour", line_color="#ffffff",
                     line_width=0.6)  # fmt: skip
        return made

    def _draw_lines(self) -> None:
        from bokeh.models import CustomJSTickFormatter, Span

        self.gradient.yaxis.formatter = CustomJSTickFormatter(code=POWERS)
        layers, curves = self.layers, self.curves
        for which, name in enumerate(NAMES):
            wide = 4 - which  # so that of two lines that lie on one another both are seen
            mine = self.glyphs[which]
            mine += [
                self.gradient.varea("layer", f"low_{name}", f"high_{name}", source=layers, fill_alpha=0.15),
                self.gradient.line("layer", f"theory_{name}", source=layers, line_width=2.5, line_dash="8 6"),
                self.gradient.line("layer", f"delta_{name}", source=layers, line_width=wide),
                self.gradient.scatter("layer", f"delta_{name}", source=layers, size=13 - 4 * which),
                self.gradient.scatter(
                    "layer", f"zero_{name}", source=layers, size=16, marker="dash", line_width=4
                ),
                self.dead.line("layer", f"dead_{name}", source=layers, line_width=wide),
                self.dead.scatter("layer", f"dead_{name}", source=layers, size=13 - 4 * which),
            ]
            for panel, column in ((self.loss, f"loss_{name}"), (self.accuracy, f"accuracy_{name}")):
                mine.append(panel.line("step", column, source=curves, line_width=wide))
        self.chance = Span(location=0.1, dimension="width", line_dash="dashed", line_width=1.5)
        self.accuracy.add_layout(self.chance)
        for panel in (self.loss, self.accuracy):
            panel.vspan(x="step", source=self.marks, line_width=2, line_dash="3 3", line_color="#8a8f96")

    # -- what is shown ----------------------------------------------------------------------------------

    def restyle(self, runs: Sequence[Run], size: int, *, dark: bool) -> None:
        """Give lines the colours of these networks, and type this size in pixels."""
        for mine, (colour, marker) in zip(self.glyphs, looks(runs, dark=dark), strict=False):
            for drawn in mine:
                for name in {"line_color", "fill_color"} & drawn.glyph.properties():
                    setattr(drawn.glyph, name, colour)
                if "marker" in drawn.glyph.properties() and drawn.glyph.marker != "dash":
                    drawn.glyph.marker = marker
        for made in self.figures.values():
            made.grid.grid_line_color, made.axis.axis_line_color = FAINT[dark], FAINT[dark]
            made.axis.major_tick_line_color, made.axis.minor_tick_line_color = FAINT[dark], None
            made.title.text_font_size = made.axis.axis_label_text_font_size = f"{size}px"
            made.axis.major_label_text_font_size = f"{size}px"
            made.axis.axis_label_text_font_style = "normal"
            made.title.text_font = made.axis.axis_label_text_font = made.axis.major_label_text_font = FONT
            made.title.text_color = made.axis.axis_label_text_color = INK[dark]
            made.axis.major_label_text_color = INK[dark]
        self.chance.line_color = INK[dark]

    def begin(self, session: Session) -> None:
        """Set up for networks that begin anew: theory's lines, axes and the examples."""
        self._theory = []
        for trainee in session.trainees:
            line = expected(trainee.run, trainee.examples, trainee.data.classes)
            self._theory.append(line if len(line[0]) else (np.full(trainee.run.depth + 1, np.nan),) * 3)
        depth = max(trainee.run.depth for trainee in session.trainees)
        for panel in (self.gradient, self.dead):
            panel.x_range.start, panel.x_range.end = 0.5, depth + 1.5
            panel.xaxis.ticker = [i + 1 for i in style.spread(depth + 1, 11)]
        known = np.concatenate([lines.ravel() for lines in map(np.array, self._theory)])
        known = known[np.isfinite(known)]
        self._span = (known.min(), known.max()) if len(known) else (np.inf, -np.inf)
        data = session.trainees[0].data
        self.chance.location = 1 / data.classes
        flat = bool(session.trainees[0].plane)
        for which, made in enumerate(self.boundaries):
            made.visible = flat and which < len(session.trainees)
        if flat:
            self._show_examples(session)
        self.draw(session)

    def _show_examples(self, session: Session) -> None:
        data, (left, right, low, high) = session.trainees[0].data, session.trainees[0].plane
        count = min(300, len(data.x))
        colours = [CLASSES[label] for label in data.y[:count]]
        self.examples.data = {"x": data.x[:count, 0], "y": data.x[:count, 1], "colour": colours}
        for made in self.boundaries:
            made.x_range.start, made.x_range.end = left, right
            made.y_range.start, made.y_range.end = low, high

    def draw(self, session: Session, *, way: bool = True) -> None:
        """Show the present moment by layer; and, if asked for, the way to it and the planes."""
        self._draw_layers(session)
        if way:
            self._draw_way(session)

    def _draw_way(self, session: Session) -> None:
        curves: dict[str, Any] = {"step": np.array([now[0].frame.step for now in session.history], float)}
        for which, name in enumerate(NAMES):
            for column in BY_STEP:
                curves[f"{column}_{name}"] = _curve(session, which, column)
        self.curves.data = curves
        events = sorted({step for moment in session.now for step, _ in moment.events})
        if list(self.marks.data["step"]) != events:
            self.marks.data = {"step": events}
        self._fit_steps(session)
        for which, trainee in enumerate(session.trainees):
            plane = trainee.now.frame.plane
            if plane is not None:
                left, right, low, high = trainee.plane
                self.planes[which].data = {
                    "image": [plane.astype(np.float32)], "x": [left], "y": [low], "dw": [right - left],
                    "dh": [high - low],
                }  # fmt: skip

    def _draw_layers(self, session: Session) -> None:
        every = np.concatenate([moment.frame.delta for moment in session.now])
        finite = every[np.isfinite(every)]
        low, high = self._span = (min([self._span[0], *finite]), max([self._span[1], *finite]))
        if np.isfinite([low, high]).all():
            start, end = float(low - OPEN), float(high + OPEN)
            self.gradient.y_range.start, self.gradient.y_range.end = start, end
        floor = low - 0.8 * OPEN if np.isfinite(low) else 0.0
        most = max(len(moment.frame.delta) for moment in session.now)
        found = {"layer": np.arange(1, most + 1)}
        for which, name in enumerate(NAMES):
            there = which < len(session.now)
            columns = self._by_network(which, session.now[which], floor) if there else ()
            for column, values in zip(BY_LAYER, columns or ([],) * len(BY_LAYER), strict=True):
                found[f"{column}_{name}"] = np.append(values, np.full(most - len(values), np.nan))
        self.layers.data = found

    def _by_network(self, which: int, moment: Moment, floor: float) -> tuple[Array, ...]:
        """The columns of `BY_LAYER` of one network."""
        delta, dead = moment.frame.delta, moment.frame.dead
        shown = np.where(np.isfinite(delta), delta, np.nan)
        zero = np.where(np.isneginf(delta), floor, np.nan)
        return shown, *self._theory[which], np.append(dead, np.nan), zero

    def _fit_steps(self, session: Session) -> None:
        last = max(10, session.now[0].frame.step)
        worst = max((m.frame.loss for m in session.history[0] if np.isfinite(m.frame.loss)), default=1.0)
        for panel in (self.loss, self.accuracy):
            if panel.x_range.end < last or panel.x_range.end > 2.5 * last:
                panel.x_range.end = max(10, 1.5 * last)
        self.loss.y_range.end = 1.25 * worst  # what an oversized step adds to it leaves the panel


def _columns(names: Sequence[str]) -> dict[str, list[float]]:
    return {f"{column}_{name}": [] for column in names for name in NAMES}


def _curve(session: Session, which: int, column: str) -> Array:
    """Loss or accuracy of one network at every moment; NaN where there is no such network."""
    if which >= len(session.now):
        return np.full(len(session.history), np.nan)
    return np.array([getattr(moments[which].frame, column) for moments in session.history])


def _between(*colours: str) -> list[str]:
    """256 colours from the first to the last."""
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
    places = np.linspace(0, len(colours) - 1, 256)
    parts = [np.interp(places, range(len(colours)), rgb[:, i]).round().astype(int) for i in range(3)]
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*parts, strict=True)]

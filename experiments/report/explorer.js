// The explorer of a report: controls, panels and the state that a link carries.
// It draws with BokehJS from the numbers in #explorer-data, which `explorer.py` describes. Nothing is fetched.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const DATA = JSON.parse($("explorer-data").textContent);
  const FIELDS = DATA.fields, STEPS = DATA.steps, HUE = FIELDS.findIndex((f) => f.name === DATA.hue);
  const FRAME = 500; // milliseconds for a step while training is played
  const FONT = "system-ui, sans-serif"; // BokehJS's own, Helvetica, is a serif where it is missing

  const unpack = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const unpackAll = (texts) => Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, unpack(text)]));
  const LAYERS = unpackAll(DATA.layers), CURVES = unpackAll(DATA.over_steps);
  let offset = 0;
  DATA.runs.forEach((run, i) => {
    Object.assign(run, { place: i, offset });
    offset += STEPS.length * (run.depth + 1);
  });

  // ---- state: one setting, a step, what is shown, and a setting that is held to compare with --------------
  const state = { setting: 0, step: STEPS.length - 1, all: HUE >= 0, seeds: false, theory: true, held: null };

  const nameOf = (setting) =>
    FIELDS.map((f, i) => (f.name === "activation" ? "" : `${f.name} `) + f.values[DATA.settings[setting][i]])
      .join(", ") || DATA.alone;
  const sameAs = (setting, field, value) => // the setting with this value that is most like another one
    DATA.settings
      .map((row, i) => [row.filter((v, k) => v === DATA.settings[setting][k]).length, i, row])
      .filter(([, , row]) => row[field] === value)
      .sort((a, b) => b[0] - a[0] || a[1] - b[1])[0][1];
  state.setting = FIELDS.reduce((setting, f, i) => sameAs(setting, i, f.number ? f.values.length - 1 : DATA.settings[setting][i]), 0);
  const alike = (a, b) => DATA.settings[a].every((v, k) => k === HUE || v === DATA.settings[b][k]);

  function shown() { // the settings that are drawn, the chosen one last and thus on top
    const others = state.all && HUE >= 0 ? DATA.settings.map((_, i) => i).filter((i) => alike(i, state.setting)) : [];
    const list = others.filter((i) => i !== state.setting).concat(state.setting);
    return list.map((setting) => ({ setting, ...lookOf(setting), wide: setting === state.setting ? 3 : 1.5 }))
      .concat(state.held === null ? [] : [{ setting: state.held, colour: ink(), mark: "x", wide: 3, held: true }]);
  }
  const lookOf = (setting) => {
    const value = HUE < 0 ? 0 : DATA.settings[setting][HUE];
    return HUE < 0 ? { colour: ink(), mark: "circle" } : { colour: FIELDS[HUE].colours[value][dark.matches ? 1 : 0], mark: FIELDS[HUE].marks[value] };
  };

  function toAddress() {
    const q = new URLSearchParams();
    FIELDS.forEach((f, i) => q.set(f.name, f.values[DATA.settings[state.setting][i]]));
    q.set("step", STEPS[state.step]);
    q.set("show", ["all", "seeds", "theory"].filter((key) => state[key]).join(" "));
    if (state.held !== null) FIELDS.forEach((f, i) => q.set(`held.${f.name}`, f.values[DATA.settings[state.held][i]]));
    history.replaceState(null, "", `#explore?${q}`);
  }
  function fromAddress() { // what an address does not say, or says of nothing that is here, stays as it is
    if (!location.hash.startsWith("#explore?")) return false;
    const q = new URLSearchParams(location.hash.slice("#explore?".length));
    const settingOf = (before, prefix) => FIELDS.reduce((setting, f, i) => {
      const value = f.values.indexOf(q.get(prefix + f.name));
      return value < 0 ? setting : sameAs(setting, i, value);
    }, before);
    state.setting = settingOf(state.setting, "");
    if (q.has("step")) state.step = Math.max(0, STEPS.findLastIndex((s) => s <= Number(q.get("step"))));
    if (q.has("show")) for (const key of ["all", "seeds", "theory"]) state[key] = q.get("show").split(" ").includes(key);
    state.held = FIELDS.some((f) => q.has(`held.${f.name}`)) ? settingOf(state.setting, "held.") : null;
    return true;
  }

  // ---- numbers -------------------------------------------------------------------------------------------
  const runsOf = (setting) => DATA.runs.filter((run) => run.setting === setting);
  const layerValue = (key, run, step, layer) => LAYERS[key][run.offset + step * (run.depth + 1) + layer - 1];
  const stepValue = (key, run, step) => CURVES[key][run.place * STEPS.length + step];
  const curve = Object.fromEntries(DATA.curves.map((c) => [c.key, c]));
  function summary(values) { // median and range of what is known; `least`: the smallest that is not −∞
    const v = values.filter((x) => !Number.isNaN(x)).sort((a, b) => a - b), m = v.length >> 1;
    if (!v.length) return { n: 0, median: NaN, low: NaN, high: NaN, least: NaN };
    const median = v.length % 2 ? v[m] : v[m - 1] / 2 + v[m] / 2;
    return { n: v.length, median, low: v[0], high: v[v.length - 1], least: v.find(Number.isFinite) ?? NaN };
  }
  const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
  const raised = (n) => String(n).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  function number(x) {
    if (Number.isNaN(x)) return "–";
    if (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5)) return x.toExponential(2).replace("e+", "e");
    return String(Number(x.toPrecision(3)));
  }
  function written(x, log) { // a value as it is told; `log`: x is log10 of it
    if (!log || Number.isNaN(x)) return number(x);
    if (x === -Infinity) return "0";
    return Math.abs(x) < 300 ? number(10 ** x) : `10${raised(Math.round(x))}`;
  }
  const range = (s, log) => s.n > 1 ? `${written(s.median, log)} (${written(s.low, log)} to ${written(s.high, log)})` : written(s.median, log);

  // ---- panels --------------------------------------------------------------------------------------------
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = () => css("--text"), dark = matchMedia("(prefers-color-scheme: dark)");
  const crosshair = new Bokeh.Span({ dimension: "height", line_width: 1, line_alpha: 0.6 });

  function makePanel(measure, byLayer) {
    const source = (...names) => new Bokeh.ColumnDataSource({ data: Object.fromEntries(names.map((n) => [n, []])) });
    const panel = {
      ...measure, byLayer,
      band: source("xs", "ys", "colour"), lines: source("xs", "ys", "colour", "wide"),
      seeds: source("xs", "ys", "colour"), theory: source("xs", "ys"), theoryBand: source("xs", "ys"),
      points: source("x", "y", "colour", "mark", "seen", "name", "place", "told"), zeros: source("x", "y", "colour"),
      floor: new Bokeh.Span({ dimension: "width", line_dash: "dotted", visible: false }),
      now: new Bokeh.Span({ dimension: "height", line_dash: "dashed", visible: !byLayer }),
      x: new Bokeh.Range1d({ start: 0, end: 1 }), y: new Bokeh.Range1d({ start: 0, end: 1 }),
    };
    const plot = panel.plot = Bokeh.Plotting.figure({
      height: 250, sizing_mode: "stretch_width", min_width: 200, min_border_right: 18, toolbar_location: null, tools: "",
      x_range: panel.x, y_range: panel.y, x_axis_label: byLayer ? "layer, counted from the input" : "step",
    });
    const of = (field) => ({ field });
    plot.patches(of("xs"), of("ys"), { source: panel.band, fill_color: of("colour"), fill_alpha: 0.2, line_color: null });
    plot.patches(of("xs"), of("ys"), { source: panel.theoryBand, fill_alpha: 0, line_color: null, hatch_pattern: "/", hatch_alpha: 0.35, hatch_weight: 0.7, hatch_scale: 7 });
    plot.multi_line(of("xs"), of("ys"), { source: panel.seeds, line_color: of("colour"), line_alpha: 0.55, line_width: 0.8 });
    plot.multi_line(of("xs"), of("ys"), { source: panel.lines, line_color: of("colour"), line_width: of("wide") });
    plot.multi_line(of("xs"), of("ys"), { source: panel.theory, line_dash: "dashed", line_width: 1.4 });
    const points = plot.scatter(of("x"), of("y"), { source: panel.points, marker: of("mark"), size: 6, fill_color: of("colour"), line_color: of("colour"), fill_alpha: of("seen"), line_alpha: of("seen") });
    plot.scatter(of("x"), of("y"), { source: panel.zeros, marker: "dash", size: 7, line_color: of("colour"), line_width: 2 });
    plot.add_tools(new Bokeh.HoverTool({ renderers: [points], tooltips: [["", "@name"], [byLayer ? "layer" : "step", "@place"], ["value", "@told"]] }));
    if (byLayer) plot.add_tools(new Bokeh.CrosshairTool({ dimensions: "height", overlay: crosshair }));
    plot.add_layout(panel.floor);
    plot.add_layout(panel.now);
    return panel;
  }

  // The curve of a setting in a panel: places along x, and at each the values of all seeds.
  function curveOf(panel, setting, step = state.step) {
    const runs = runsOf(setting), last = runs[0].depth + (panel.hidden ? 0 : 1);
    const xs = panel.byLayer ? Array.from({ length: last }, (_, i) => i + 1) : STEPS.map((_, i) => i);
    const value = panel.byLayer ? (run, x) => layerValue(panel.key, run, step, x) : (run, x) => stepValue(panel.key, run, x);
    const of = xs.map((x) => runs.map((run) => value(run, x)));
    return { xs: panel.byLayer ? xs : STEPS, each: runs.map((_, i) => of.map((v) => v[i])), all: of.map(summary), runs };
  }

  // An axis that stays the same while training is played: over all medians of these settings at any step. Of
  // their ranges it holds what lies no farther away than that again, so that one wild seed cannot flatten all.
  function fitY(panel, curves) {
    if (!panel.log) {
      Object.assign(panel.y, { start: -0.04, end: 1.06 });
      return;
    }
    const steps = panel.byLayer ? STEPS.map((_, i) => i) : [state.step];
    const reached = curves.flatMap(({ setting }) => steps.flatMap((step) => curveOf(panel, setting, step).all));
    const zeros = reached.some((s) => s.low === -Infinity);
    const medians = reached.flatMap((s) => [s.median]).filter(Number.isFinite);
    let low = Math.min(...medians), high = Math.max(...medians);
    if (!medians.length) [low, high] = [0, 1];
    const far = Math.max(1, high - low);
    for (const s of reached) {
      if (s.least >= low - far) low = Math.min(low, s.least);
      if (s.high <= high + far) high = Math.max(high, s.high);
    }
    if (high - low < 1) [low, high] = [low - 0.5, high + 0.5];
    const { ticks, labels } = powers(low, high), floor = low - 0.12 * (high - low) - 0.1;
    if (zeros) { ticks.unshift(floor); labels.set(floor, "0"); }
    Object.assign(panel.plot.yaxes[0].ticker, { ticks });
    panel.plot.yaxes[0].major_label_overrides = labels;
    Object.assign(panel.floor, { location: floor, visible: zeros });
    Object.assign(panel.y, { start: (zeros ? floor : low) - 0.06 * (high - low), end: high + 0.06 * (high - low) });
    panel.ground = floor;
  }
  function powers(low, high) { // ticks of an axis of exponents: powers of ten, or 1, 2 and 5 times them where these are few
    const stride = Math.max(1, Math.ceil((high - low) / 5)), ticks = [], labels = new Map();
    for (let e = Math.ceil(low / stride) * stride; e <= high; e += stride) { ticks.push(e); labels.set(e, e === 0 ? "1" : e === 1 ? "10" : `10${raised(e)}`); }
    if (ticks.length < 3) for (let e = Math.floor(low); e <= high; e += 1) for (const m of [2, 5]) {
      const at = e + Math.log10(m);
      if (at >= low && at <= high) { ticks.push(at); labels.set(at, number(m * 10 ** e)); }
    }
    return { ticks, labels };
  }
  function layerTicks(last) {
    const stride = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((s) => last <= 6 * s) ?? 1000;
    const inner = Array.from({ length: Math.floor(last / stride) }, (_, i) => (i + 1) * stride);
    return [1, ...inner.filter((k) => k > 1 && last - k >= 0.6 * stride), last];
  }

  function draw(panel) {
    const curves = shown().map((look) => ({ ...look, curve: curveOf(panel, look.setting) }));
    fitY(panel, curves);
    const y = (v) => (v === -Infinity ? panel.ground : v); // an exact zero lies on its floor
    const last = Math.max(...curves.map(({ curve }) => curve.xs.at(-1)));
    Object.assign(panel.x, panel.byLayer ? { start: 0.5, end: last + 0.5 } : { start: -0.02 * last, end: 1.02 * last || 1 });
    if (panel.byLayer) Object.assign(panel.plot.xaxes[0].ticker, { ticks: layerTicks(last) });
    panel.now.location = STEPS[state.step];
    panel.lines.data = {
      xs: curves.map(({ curve }) => curve.xs), ys: curves.map(({ curve }) => curve.all.map((s) => y(s.median))),
      colour: curves.map((c) => c.colour), wide: curves.map((c) => c.wide),
    };
    const placed = curves.flatMap((c) => c.curve.xs.map((x, i) => ({ ...c, x, i, s: c.curve.all[i] })));
    const wide = curves.map((c) => ({ ...c, known: placed.filter((p) => p.setting === c.setting && p.held === c.held && p.s.n > 1 && Number.isFinite(p.s.least)) }));
    const round = (known, low, high) => [...known.map(low), ...known.map(high).reverse()];
    panel.band.data = { // down to the smallest that is not 0: seeds at 0 have a dash on the floor, not a block of colour
      xs: wide.map(({ known }) => round(known, (p) => p.x, (p) => p.x)),
      ys: wide.map(({ known }) => round(known, (p) => p.s.least, (p) => p.s.high)), colour: wide.map((c) => c.colour),
    };
    const zeros = placed.filter((p) => p.s.low === -Infinity);
    panel.zeros.data = { x: zeros.map((p) => p.x), y: zeros.map(() => panel.ground), colour: zeros.map((p) => p.colour) };
    const single = state.seeds ? curves.flatMap((c) => c.curve.each.map((each) => ({ xs: c.curve.xs, ys: each.map(y), colour: c.colour }))) : [];
    panel.seeds.data = { xs: single.map((s) => s.xs), ys: single.map((s) => s.ys), colour: single.map((s) => s.colour) };
    panel.points.data = { // all can be pointed at; about ten a line are seen
      x: placed.map((p) => p.x), y: placed.map((p) => y(p.s.median)), colour: placed.map((p) => p.colour), mark: placed.map((p) => p.mark),
      seen: placed.map((p) => Number(p.i % Math.ceil(p.curve.xs.length / 10) === 0)),
      name: placed.map((p) => nameOf(p.setting)), place: placed.map((p) => String(p.x)), told: placed.map((p) => range(p.s, panel.log)),
    };
    drawTheory(panel, curves);
  }

  function drawTheory(panel, curves) { // of the start, hence at step 0 alone
    const there = state.theory && panel.byLayer && STEPS[state.step] === 0;
    const lines = there ? curves.map(({ setting }) => DATA.theory[setting][panel.key]).filter(Boolean) : [];
    const placed = lines.map(([centre, low, high]) => {
      const known = centre.map((c, i) => i).filter((i) => centre[i] !== null);
      return { xs: known.map((i) => i + 1), ys: known.map((i) => centre[i]), low: known.map((i) => low[i]), high: known.map((i) => high[i]) };
    });
    panel.theory.data = { xs: placed.map((p) => p.xs), ys: placed.map((p) => p.ys) };
    panel.theoryBand.data = { xs: placed.map((p) => [...p.xs, ...p.xs.slice().reverse()]), ys: placed.map((p) => [...p.low, ...p.high.slice().reverse()]) };
  }

  function paint() { // in the colours of the page, light or dark
    const [text, soft, line] = ["--text", "--soft", "--line"].map(css);
    crosshair.line_color = soft;
    for (const { plot, floor, now, theoryBand } of PANELS) {
      Object.assign(plot, { background_fill_color: null, border_fill_color: null, outline_line_color: null });
      for (const axis of plot.axes) Object.assign(axis, { axis_label_text_color: text, major_label_text_color: text, axis_line_color: soft, major_tick_line_color: soft, minor_tick_line_color: null, axis_label_text_font_style: "normal", axis_label_text_font_size: "13px", major_label_text_font_size: "12px", axis_label_text_font: FONT, major_label_text_font: FONT });
      for (const grid of plot.grids) grid.grid_line_color = line;
      floor.line_color = now.line_color = soft;
      for (const { data_source, glyph } of plot.renderers) {
        if (data_source === theoryBand) glyph.hatch_color = text;
        if (glyph.line_dash?.length) glyph.line_color = text;
      }
    }
  }

  // ---- words and tables beside the panels ------------------------------------------------------------------
  const element = (tag, attributes = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...inside);
    return made;
  };
  function table(caption, head, rows) {
    const cells = (tag, row) => element("tr", {}, ...row.map((text, i) => element(i ? tag : "th", { className: i ? "n" : "", scope: tag === "th" ? "col" : i ? "" : "row" }, text)));
    return element("table", {}, element("caption", {}, caption), element("thead", {}, cells("th", head)), element("tbody", {}, ...rows.map((row) => cells("td", row))));
  }
  const swatch = (colours) => element("span", { className: "swatch", style: `--light: ${colours[0]}; --dark: ${colours[1]}` });
  function key() { // which colour is what, also where no button says it, and on paper
    const name = ({ setting, held }) => (held ? `held: ${nameOf(setting)}` : state.all && HUE >= 0 ? FIELDS[HUE].values[DATA.settings[setting][HUE]] : nameOf(setting));
    const colours = ({ setting, held }) => (held || HUE < 0 ? ["var(--text)", "var(--text)"] : FIELDS[HUE].colours[DATA.settings[setting][HUE]]);
    return shown().sort((a, b) => a.setting - b.setting).map((c) => element("span", {}, swatch(colours(c)), name(c)));
  }
  function tell() {
    $("explorer-key").replaceChildren(...key());
    const runs = runsOf(state.setting), s = (key) => range(summary(runs.map((run) => stepValue(key, run, state.step))), curve[key].log);
    $("explorer-told").textContent = `${nameOf(state.setting)}, step ${STEPS[state.step]}, ${count(runs.length, "seed")}: ${DATA.curves.map((c) => `${c.told} ${s(c.key)}${c.unit}`).join(", ")}.`;
    $("explorer-compared").replaceChildren(...(state.held === null ? [] : compared()));
    if ($("explorer-numbers").open) $("explorer-tables").replaceChildren(...shown().map(({ setting }) => numbersOf(setting)));
  }
  function numbersOf(setting) {
    const panels = PANELS.filter((p) => p.byLayer), curves = panels.map((p) => curveOf(p, setting));
    const layers = curves.reduce((a, b) => (a.xs.length > b.xs.length ? a : b)).xs;
    const rows = layers.map((layer, i) => [String(layer), ...curves.map(({ all }, k) => (all[i] ? range(all[i], panels[k].log) : ""))]);
    return table(`${nameOf(setting)}, step ${STEPS[state.step]}: median (range over seeds)`, ["layer", ...panels.map((p) => p.title)], rows);
  }
  const COMPARED = [ // what two settings are compared by, seed by seed; a ratio is told as a quotient
    ["‖delta‖ of layer 1 over the last hidden layer's", (run) => ("delta" in LAYERS && run.depth > 1 ? layerValue("delta", run, state.step, 1) - layerValue("delta", run, state.step, run.depth) : NaN), true],
    ...DATA.curves.map((c) => [c.title, (run) => stepValue(c.key, run, state.step), c.log]),
  ];
  function compared() {
    const pairs = runsOf(state.setting).map((run) => [run, runsOf(state.held).find((other) => other.seed === run.seed)]).filter(([, b]) => b);
    return COMPARED.map(([title, value, log]) => {
      const found = pairs.map(([a, b]) => [a.seed, value(b), value(a)]).map(([seed, b, a]) => [seed, b, a, a - b]);
      const s = summary(found.map((row) => row[3])), larger = found.filter((row) => row[3] > 0).length;
      const rows = found.map(([seed, b, a, d]) => [`seed ${seed}`, written(b, log), written(a, log), written(d, log)]);
      rows.push([`median (range); larger in ${larger} of ${count(found.length, "seed")}`, "", "", range(s, log)]);
      return table(title, ["", `held: ${nameOf(state.held)}`, nameOf(state.setting), log ? "quotient" : "difference"], rows);
    });
  }

  // ---- controls ------------------------------------------------------------------------------------------
  const controls = []; // functions that show the state in a control
  function slider(label, texts, get, set) {
    const input = element("input", { type: "range", min: 0, max: texts.length - 1, step: 1 }), output = element("output");
    input.addEventListener("input", () => change(() => set(Number(input.value))));
    controls.push(() => {
      input.value = get();
      output.textContent = texts[get()];
      input.setAttribute("aria-valuetext", `${label} ${texts[get()]}`);
    });
    input.dataset.field = label;
    return element("label", { className: "slider" }, element("span", {}, label, " ", output), input);
  }
  function buttons(field, i) {
    const inputs = field.values.map((value, k) => element("input", { type: "radio", name: `explore-${field.name}`, value: k }));
    inputs.forEach((input, k) => input.addEventListener("change", () => change(() => { state.setting = sameAs(state.setting, i, k); })));
    controls.push(() => inputs.forEach((input, k) => { input.checked = k === DATA.settings[state.setting][i]; }));
    return element("fieldset", {}, element("legend", {}, field.name), ...inputs.map((input, k) => element("label", {}, input, ...(i === HUE ? [swatch(field.colours[k])] : []), field.values[k])));
  }
  function box(label, key) {
    const input = element("input", { type: "checkbox" });
    input.dataset.field = key;
    input.addEventListener("change", () => change(() => { state[key] = input.checked; }));
    controls.push(() => { input.checked = state[key]; });
    return element("label", {}, input, label);
  }
  function button(id, press, text) {
    const made = element("button", { type: "button", id });
    made.addEventListener("click", press);
    controls.push(() => { made.textContent = text(); });
    return made;
  }
  let playing = null;
  function play() {
    if (playing) { clearInterval(playing); playing = null; refresh(); return; }
    if (state.step === STEPS.length - 1) state.step = 0;
    playing = setInterval(() => {
      if (state.step >= STEPS.length - 1) play();
      else change(() => { state.step += 1; });
    }, FRAME);
    change(() => {});
  }
  function build() {
    const holder = $("explorer-controls");
    FIELDS.forEach((field, i) => holder.append(field.number
      ? slider(field.name, field.values, () => DATA.settings[state.setting][i], (k) => { state.setting = sameAs(state.setting, i, k); })
      : buttons(field, i)));
    if (STEPS.length > 1) {
      holder.append(slider("step", STEPS.map(String), () => state.step, (k) => { state.step = k; }));
      holder.append(button("explorer-play", play, () => (playing ? "Pause" : "Play through training")));
    }
    const boxes = element("div", { className: "boxes" });
    if (HUE >= 0) boxes.append(box(`every ${DATA.hue} at once`, "all"));
    boxes.append(box("each seed", "seeds"), box("theory, at step 0", "theory"));
    if (DATA.settings.length > 1) boxes.append(button("explorer-hold", () => change(() => { state.held = state.held === null ? state.setting : null; }),
      () => (state.held === null ? "Hold this setting to compare" : `Let go of ${nameOf(state.held)}`)));
    holder.append(boxes);
  }

  const PANELS = [...DATA.measures.map((m) => makePanel(m, true)), ...DATA.curves.map((m) => makePanel(m, false))];
  for (const { plot, log, byLayer } of PANELS) {
    if (log) plot.yaxes[0].ticker = new Bokeh.FixedTicker({ ticks: [] });
    if (byLayer) plot.xaxes[0].ticker = new Bokeh.FixedTicker({ ticks: [] });
  }
  function refresh() {
    controls.forEach((show) => show());
    PANELS.forEach(draw);
    tell();
  }
  function change(how) {
    how();
    refresh();
    toAddress();
  }

  async function main() {
    build();
    const targets = PANELS.map((panel) => {
      const target = element("div", { className: "panel" });
      $("explorer-panels").append(element("figure", {}, element("figcaption", {}, panel.title), target));
      return target;
    });
    const there = fromAddress();
    paint();
    refresh();
    const doc = new Bokeh.Document();
    PANELS.forEach((panel) => doc.add_root(panel.plot));
    await Bokeh.embed.add_document_standalone(doc, $("explorer-panels"), targets);
    $("explorer").dataset.ready = "yes";
    if (there) $("explorer").scrollIntoView();
    dark.addEventListener("change", () => { paint(); refresh(); });
    addEventListener("hashchange", () => { if (fromAddress()) { refresh(); $("explorer").scrollIntoView(); } });
    $("explorer-numbers").addEventListener("toggle", tell);
  }
  main();
})();

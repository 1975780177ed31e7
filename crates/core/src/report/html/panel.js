
const plots = JSON.parse(document.getElementById("plots").textContent);

// One panel of a plot: axes, traces, and the values of the nearest point.
class Panel {
  constructor(plot, panel, holder, range) {
    Object.assign(this, { plot, panel, holder });
    this.width = Math.max(270, holder.clientWidth);
    this.height = Math.min(400, Math.max(280, 0.62 * this.width));
    const log = plot.log.y && range !== null;
    this.box = { left: 62, right: this.width - 10, top: panel.caption ? 26 : 10, bottom: this.height - 44 };
    const off = (t) => t.spots.some((s) => s[1] !== null && s[1] <= 0);
    // Each series with zeros has its row in the strip below a logarithmic axis.
    this.rows = plot.log.y ? plot.visible(panel).filter(off).map((t) => t.series) : [];
    const floor = this.box.bottom - (this.rows.length > 0 ? 8 + 8 * this.rows.length : 0);
    const [lo, hi] = range ?? [0, 1];
    this.y = makeScale(lo, hi, floor, this.box.top, log);
    this.x = this.xScale();
    const named = `${panel.caption ? `${panel.caption}: ` : ""}${plot.data.y.label} over ${plot.data.x.label}`;
    this.svg = element("svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "img", tabindex: 0, "aria-label": named });
    this.axes();
    this.places = [];
    for (const trace of plot.visible(panel)) this.trace(trace);
    this.svg.append(element("rect", { class: "frame", x: this.box.left, y: this.box.top, width: this.box.right - this.box.left, height: this.box.bottom - this.box.top }));
    holder.append(this.svg);
    this.listen();
  }

  xScale() {
    const { left, right } = this.box;
    const { categories } = this.plot.data;
    if (categories.length > 0) return makeScale(-0.5, categories.length - 0.5, left, right, false);
    // A logarithmic axis begins at the first value above 0; t = 0 stands at its edge.
    const xs = this.panel.traces.flatMap((t) => t.spots.map((s) => s[0]));
    const positive = xs.filter((x) => x > 0);
    const log = this.plot.log.x && positive.length > 0;
    const zero = log && xs.some((x) => x <= 0);
    let [lo, hi] = [Math.min(...(log ? positive : xs)), Math.max(...xs)];
    if (lo === hi) [lo, hi] = log ? [lo / 2, hi * 2] : [lo - 1, hi + 1];
    const scale = makeScale(lo, hi, left + (zero ? 34 : 10), right - 10, log);
    return zero ? { ...scale, zero: left + 12, at: (v) => (v <= 0 ? left + 12 : scale.at(v)) } : scale;
  }

  text(words, x, y, anchor, kind = "") {
    const made = element("text", { x, y, "text-anchor": anchor, class: kind }, words);
    this.svg.append(made);
    return made;
  }

  axes() {
    const { left, right, top, bottom } = this.box;
    const { data } = this.plot;
    this.panel.shades.slice(1).forEach((until, k) => {
      const [from, to] = [this.x.at(this.panel.shades[k]), this.x.at(until)];
      this.svg.append(element("rect", { class: k % 2 === 0 ? "shade" : "shade even", x: from, y: top, width: Math.max(0, to - from), height: bottom - top }));
    });
    if (this.panel.caption) this.text(this.panel.caption, left, 16, "start", "caption");
    for (const v of this.y.log ? logTicks(this.y.lo, this.y.hi) : linearTicks(this.y.lo, this.y.hi, 6)) {
      const at = this.y.at(v);
      this.svg.append(element("path", { class: "grid", d: `M${left} ${at}H${right}` }));
      if (!(this.y.from < bottom && at > this.y.from - 8)) this.text(digits(v), left - 6, at + 4, "end");
    }
    if (this.y.from < bottom) {
      this.svg.append(element("path", { class: "grid", d: `M${left} ${this.y.from}H${right}` }));
      this.text("≤ 0", left - 6, (this.y.from + bottom) / 2 + 4, "end");
    }
    this.xTicks();
    this.text(data.x.label, (left + right) / 2, this.height - 6, "middle", "label");
    const label = this.text(data.y.label, 0, 0, "middle", "label");
    // The label shrinks to the frame's height.
    const size = Math.min(12, (12 * (this.height - 12)) / (7 * data.y.label.length));
    label.setAttribute("style", "");
    label.style.fontSize = `${Math.max(7, size)}px`;
    label.setAttribute("transform", `translate(12 ${Math.min((top + bottom) / 2, this.height / 2)}) rotate(-90)`);
  }

  xTicks() {
    const { bottom } = this.box;
    const { categories } = this.plot.data;
    const tick = (v, words) => {
      const at = this.x.at(v);
      this.svg.append(element("path", { class: "frame", d: `M${at} ${bottom}v4` }));
      const room = categories.length > 0 ? Math.floor((this.x.to - this.x.from) / categories.length / 6.6) : Infinity;
      const shown = words.length > room ? `${words.slice(0, Math.max(1, room - 1))}…` : words;
      this.text(shown, at, bottom + 17, "middle").append(element("title", {}, words));
    };
    if (categories.length > 0) return categories.forEach((name, i) => tick(i, name));
    if (this.x.zero !== undefined) tick(0, "0");
    const own = [...new Set(this.panel.traces.flatMap((t) => t.spots.map((s) => s[0])))].sort((a, b) => a - b);
    const apart = (all) => all.every((v, i) => i === 0 || this.x.at(v) - this.x.at(all[i - 1]) > 5 + 7 * digits(v).length);
    const ticks = own.length <= 9 && apart(own) ? own : this.x.log ? logTicks(this.x.lo, this.x.hi) : linearTicks(this.x.lo, this.x.hi, this.width / 80);
    ticks.filter((v) => v !== 0 || this.x.zero === undefined).forEach((v) => tick(v, digits(v)));
  }

  // Lines, bands or bars, markers where points are sparse; zeros of a logarithmic axis stand in the strip below.
  trace(trace) {
    const i = trace.series;
    const of = this.plot.data.series.length;
    const step = this.plot.words ? Math.min(14, (0.6 * (this.x.to - this.x.from)) / this.plot.data.categories.length / of) : 0;
    const at = trace.spots.map((s) => this.x.at(s[0]) + step * (i - (of - 1) / 2));
    const sparse = this.plot.words || at.every((x, k) => k === 0 || x === at[k - 1] || x - at[k - 1] > 7);
    const repeated = at.some((x, k) => k > 0 && x === at[k - 1]);
    const shown = (s) => s[1] !== null && (!this.y.log || s[1] > 0);
    const row = this.y.from + 8 + 8 * this.rows.indexOf(i);
    let [line, run, band] = ["", [], []];
    const close = () => {
      if (!sparse && band.length > 1) this.band(i, band);
      if (run.length === 1 || sparse || repeated) run.forEach(([x, s]) => this.mark(i, x, s));
      [run, band] = [[], []];
    };
    trace.spots.forEach((s, k) => {
      if (s[1] !== null) this.places.push({ x: at[k], y: shown(s) ? this.y.at(s[1]) : row, spot: s, series: i });
      if (!shown(s)) {
        close();
        if (s[1] !== null) this.svg.append(element("path", { d: `M${at[k]} ${row - 3}v6`, stroke: colour(i), "stroke-width": 1.6 }));
        return;
      }
      if (s[4] === 1 && this.y.log) {
        close();
        this.svg.append(element("path", { d: `M${at[k]} ${this.y.from}V${this.y.at(s[1])}`, stroke: colour(i) }));
        this.mark(i, at[k], s);
        return;
      }
      line += `${run.length > 0 ? "L" : "M"}${at[k].toFixed(2)} ${this.y.at(s[1]).toFixed(2)}`;
      run.push([at[k], s]);
      if (s[2] !== null) band.push([at[k], s]);
    });
    close();
    if (this.plot.words || repeated) return;
    this.svg.append(element("path", { d: line, fill: "none", stroke: colour(i), "stroke-width": 1.8, "stroke-dasharray": dash(i), "stroke-linejoin": "round" }));
  }

  band(i, band) {
    const edge = (which) => band.map(([x, s]) => `${x.toFixed(2)} ${this.y.at(s[which]).toFixed(2)}`);
    this.svg.append(element("path", { d: `M${[...edge(3), ...edge(2).reverse()].join("L")}Z`, fill: colour(i), opacity: 0.22 }));
  }

  mark(i, x, [, y, low, high]) {
    if (low !== null) {
      const [bottom, top] = [this.y.at(low), this.y.at(high)];
      this.svg.append(element("path", { d: `M${x - 4} ${top}h8M${x} ${top}V${bottom}M${x - 4} ${bottom}h8`, stroke: colour(i), fill: "none" }));
    }
    this.svg.append(element("path", { d: markerPath(i, x, this.y.at(y), 4), fill: colour(i) }));
  }

  listen() {
    const over = (event) => {
      const [px, py] = this.local(event);
      const distance = (p) => Math.hypot(p.x - px, (p.y - py) * 0.6);
      const nearest = this.places.reduce((best, p) => (best === null || distance(p) < distance(best) ? p : best), null);
      if (nearest && distance(nearest) < 60) this.show(nearest); else this.leave();
    };
    this.svg.addEventListener("pointermove", over);
    this.svg.addEventListener("pointerdown", over);
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("blur", () => this.leave());
    this.svg.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (move === undefined || this.places.length === 0) return;
      event.preventDefault();
      const now = this.places.indexOf(this.shown);
      this.show(this.places[(now + move + this.places.length) % this.places.length]);
    });
  }

  local(event) {
    const box = this.svg.getBoundingClientRect();
    return [((event.clientX - box.left) * this.width) / box.width, ((event.clientY - box.top) * this.height) / box.height];
  }

  show(place) {
    this.leave();
    this.shown = place;
    const { data } = this.plot;
    const [x, y, low, high] = place.spot;
    this.ring = element("path", { class: "hit", d: markerPath(0, place.x, place.y, 6.5) });
    this.svg.append(this.ring);
    const where = data.categories.length > 0 ? data.categories[x] : `${data.x.label}: ${digits(x, 6)}`;
    const lines = [where, `${data.y.label}: ${digits(y)}`, ...(low === null ? [] : [`95 % interval ${digits(low)} to ${digits(high)}`])];
    this.tip = html("div", { className: "tip", role: "status" }, html("b", { textContent: data.series[place.series] }), ...lines.map((t) => html("div", { textContent: t })));
    this.holder.append(this.tip);
    const scale = this.svg.clientWidth / this.width;
    const side = place.x > this.width * 0.55;
    this.tip.style.left = `${Math.max(0, scale * place.x + (side ? -12 - this.tip.offsetWidth : 12))}px`;
    this.tip.style.top = `${Math.max(0, scale * place.y - this.tip.offsetHeight / 2)}px`;
  }

  leave() {
    this.ring?.remove();
    this.tip?.remove();
    this.shown = null;
  }
}

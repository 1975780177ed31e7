
// Plots: drawn from the embedded values over the static figure that a page without scripts shows.
const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 3", "9 3 2 3", "4 2", "9 3 2 3 2 3", "13 4"];
const element = (name, attributes, ...children) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const html = (name, attributes, ...children) => {
  const made = document.createElement(name);
  Object.assign(made, attributes);
  made.append(...children);
  return made;
};
const colour = (i) => `var(--s${i % 6})`;
const dash = (i) => DASHES[(i + Math.floor(i / 6)) % 6];

// Corners of a marker: circle, square, diamond, triangle up and down, pentagon.
const markerPath = (i, x, y, r) => {
  const [corners, turn, scale] = [[24, 0, 1], [4, .5, 1.25], [4, 0, 1.35], [3, 0, 1.45], [3, .5, 1.45], [5, 0, 1.15]][(i + Math.floor(i / 6)) % 6];
  const corner = (_, k) => {
    const angle = (2 * Math.PI * (k + turn)) / corners;
    return `${(x + scale * r * Math.sin(angle)).toFixed(2)},${(y - scale * r * Math.cos(angle)).toFixed(2)}`;
  };
  return `M${Array.from({ length: corners }, corner).join("L")}Z`;
};

class Plot {
  constructor(figure, data) {
    this.data = data;
    this.hidden = new Set();
    const still = figure.querySelector(".static");
    this.words = data.categories.length > 0;
    const xs = data.panels.flatMap((p) => p.traces.flatMap((t) => t.spots.map((s) => s[0])));
    this.log = { x: data.x.log && xs.every((x) => x > 0), y: data.y.log };
    this.root = html("div", { className: "interactive" });
    this.panels = html("div", { className: "panels" });
    const words = "Point at a curve for its values, or focus a panel and use the arrow keys; names hide and show their series.";
    this.root.append(this.bar(xs), this.panels);
    if (document.querySelector(".hint") === null) this.root.append(html("p", { className: "hint", textContent: words }));
    still.hidden = true;
    still.after(this.root);
    new ResizeObserver(() => { if (this.panels.clientWidth !== this.drawn) this.draw(); }).observe(this.panels);
    this.draw();
  }

  bar(xs) {
    const bar = html("div", { className: "bar" });
    this.data.series.forEach((name, i) => {
      if (name === "") return;
      const line = this.words ? [] : [element("path", { d: "M0 6H26", stroke: colour(i), "stroke-width": 2, "stroke-dasharray": dash(i) })];
      const sample = element("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, ...line, element("path", { d: markerPath(i, 13, 6, 3.4), fill: colour(i) }));
      const key = html("button", { type: "button", className: "key" }, sample, name);
      key.setAttribute("aria-pressed", "true");
      key.addEventListener("click", () => {
        this.hidden.has(i) ? this.hidden.delete(i) : this.hidden.add(i);
        key.setAttribute("aria-pressed", String(!this.hidden.has(i)));
        this.draw();
      });
      bar.append(key);
    });
    bar.append(html("span", { className: "space" }));
    if (!this.words) bar.append(this.toggle("x", xs));
    bar.append(this.toggle("y"));
    return bar;
  }

  toggle(axis, xs = null) {
    const button = html("button", { type: "button" });
    const show = () => { button.textContent = `${axis}: ${this.log[axis] ? "logarithmic" : "linear"}`; };
    button.addEventListener("click", () => { this.log[axis] = !this.log[axis]; show(); this.draw(); });
    button.dataset.axis = axis;
    if (xs && xs.some((x) => x < 0)) button.hidden = true;
    show();
    return button;
  }

  visible(panel) {
    return panel.traces.filter((t) => !this.hidden.has(t.series));
  }

  draw() {
    this.drawn = this.panels.clientWidth;
    const spots = (panel) => this.visible(panel).flatMap((t) => t.spots);
    const ranges = this.data.panels.map((p) => rangeOf(spots(p), this.log.y));
    const all = rangeOf(this.data.panels.flatMap(spots), this.log.y);
    const long = (r) => (this.log.y ? Math.log(r[1] / r[0]) : r[1] - r[0]);
    const alike = all && ranges.every((r) => r && long(r) >= 0.2 * long(all));
    const holders = this.data.panels.map(() => html("div", { className: "panel" }));
    this.panels.replaceChildren(...holders);
    holders.forEach((holder, i) => new Panel(this, this.data.panels[i], holder, alike ? all : ranges[i]));
  }
}

for (const figure of document.querySelectorAll("figure[data-plot]")) {
  new Plot(figure, plots[Number(figure.dataset.plot)]);
}

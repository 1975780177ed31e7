
// Figures are read where they are drawn: a pointer or the arrow keys find a point, and the legend hides and shows series.
const plots = JSON.parse(document.getElementById("plots").textContent);
// Places are counted in points, and the SVG in pixels of 1/96 inch.
const PIXELS = 96 / 72;

const digits = (v, count = 4) => {
  if (v === null || v === undefined) return "–";
  if (v === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(v)));
  if (Number.isInteger(v) && size < 7) return String(v);
  if (size < -4 || size > 6) {
    const [mantissa, exponent] = v.toExponential(count - 1).split("e");
    const raised = String(Number(exponent)).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    const short = mantissa.replace(/\.?0+$/, "");
    return short === "1" ? `10${raised}` : `${short}×10${raised}`;
  }
  const text = v.toPrecision(count);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
};

const made = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

class Reader {
  constructor(figure, data) {
    this.data = data;
    this.sheet = figure.querySelector(".sheet");
    this.svg = this.sheet.querySelector("svg");
    this.hidden = new Set();
    this.marks = data.panels.flat().map(([series, x, y, ...values]) => ({ series, x: x * PIXELS, y: y * PIXELS, values }));
    this.ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    this.ring.setAttribute("class", "hit");
    this.ring.setAttribute("r", 4);
    this.tip = made("div", { className: "tip", role: "status", hidden: true });
    this.sheet.append(this.tip);
    // What holds buttons is no image.
    this.svg.setAttribute("role", "group");
    this.svg.setAttribute("tabindex", 0);
    this.svg.querySelectorAll("[data-key]").forEach((key) => this.toggle(key));
    this.listen();
    if (document.querySelector(".hint") === null) {
      const words = "Point at a curve for its values, or focus the figure and use the arrow keys; names in the legend hide and show their series.";
      this.sheet.after(made("p", { className: "hint", textContent: words }));
    }
  }

  toggle(key) {
    const series = Number(key.dataset.key);
    const press = () => {
      if (!this.hidden.delete(series)) this.hidden.add(series);
      const off = this.hidden.has(series);
      key.setAttribute("aria-pressed", String(!off));
      for (const layer of this.svg.querySelectorAll(`[data-series="${series}"]`)) layer.classList.toggle("off", off);
      this.leave();
    };
    for (const [name, value] of Object.entries({ role: "button", tabindex: 0, "aria-pressed": "true", "aria-label": this.data.series[series] })) {
      key.setAttribute(name, value);
    }
    // The whole entry is the button, not only its ink.
    const { x, y, width, height } = key.getBBox();
    const area = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ class: "area", x: x - 2, y: y - 2, width: width + 4, height: height + 4 })) area.setAttribute(name, value);
    key.prepend(area);
    key.addEventListener("click", press);
    key.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      press();
    });
  }

  seen() {
    return this.marks.filter((mark) => !this.hidden.has(mark.series));
  }

  listen() {
    const over = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      const distance = (mark) => Math.hypot(mark.x - at.x, (mark.y - at.y) * 0.6);
      const nearest = this.seen().reduce((best, mark) => (best === null || distance(mark) < distance(best) ? mark : best), null);
      if (nearest && distance(nearest) < 40) this.show(nearest); else this.leave();
    };
    this.svg.addEventListener("pointermove", over);
    this.svg.addEventListener("pointerdown", over);
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("blur", () => this.leave());
    this.svg.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const marks = this.seen();
      if (move === undefined || marks.length === 0) return;
      event.preventDefault();
      const now = marks.indexOf(this.shown);
      this.show(marks[now < 0 ? (move > 0 ? 0 : marks.length - 1) : (now + move + marks.length) % marks.length]);
    });
  }

  show(mark) {
    this.shown = mark;
    const { x, y, series, categories } = this.data;
    const [at, value, low, high] = mark.values;
    this.ring.setAttribute("cx", mark.x);
    this.ring.setAttribute("cy", mark.y);
    this.svg.append(this.ring);
    const where = categories.length > 0 ? categories[at] : `${x}: ${digits(at, 6)}`;
    const lines = [where, `${y}: ${digits(value)}`, ...(low === null ? [] : [`95 % interval ${digits(low)} to ${digits(high)}`])];
    this.tip.replaceChildren(made("b", { textContent: series[mark.series] }), ...lines.map((text) => made("div", { textContent: text })));
    this.tip.hidden = false;
    const box = this.ring.getBoundingClientRect();
    const sheet = this.sheet.getBoundingClientRect();
    const [left, top] = [box.left - sheet.left + this.sheet.scrollLeft, box.top - sheet.top + box.height / 2];
    const right = box.left - sheet.left > sheet.width * 0.5;
    this.tip.style.left = `${Math.max(0, right ? left - 8 - this.tip.offsetWidth : left + box.width + 8)}px`;
    this.tip.style.top = `${Math.max(0, Math.min(top - this.tip.offsetHeight / 2, this.sheet.scrollHeight - this.tip.offsetHeight))}px`;
  }

  leave() {
    this.ring.remove();
    this.tip.hidden = true;
    this.shown = null;
  }
}

for (const figure of document.querySelectorAll("figure[data-plot]")) {
  new Reader(figure, plots[Number(figure.dataset.plot)]);
}

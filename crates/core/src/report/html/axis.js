
// Numbers for readers, and where ticks stand.
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

const linearTicks = (lo, hi, count) => {
  const rough = (hi - lo) / count;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * decade).find((s) => s >= rough * (1 - 1e-9));
  const ticks = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
};

const logTicks = (lo, hi) => {
  const [first, last] = [Math.floor(Math.log10(lo)), Math.ceil(Math.log10(hi))];
  const wide = Math.log10(hi / lo) >= 2;
  const every = Math.ceil((last - first) / 7);
  const ticks = [];
  for (let k = first; k <= last; k++) {
    if (wide && k % every !== 0) continue;
    for (const m of wide ? [1] : [1, 2, 5]) ticks.push(Number(`${m}e${k}`));
  }
  const inside = ticks.filter((v) => v >= lo && v <= hi);
  return inside.length > 2 ? inside : linearTicks(lo, hi, 5);
};

// An axis: values lo…hi onto places from…to.
const makeScale = (lo, hi, from, to, log) => {
  const f = log ? Math.log : (v) => v;
  const at = (v) => from + ((f(Math.min(Math.max(v, lo), hi)) - f(lo)) / (f(hi) - f(lo))) * (to - from);
  return { lo, hi, from, to, log, at };
};

// The range of [y, low, high] on an axis; intervals do not dwarf the values of a logarithmic one.
const rangeOf = (spots, log) => {
  const values = spots.filter((s) => s[1] !== null && (!log || s[1] > 0));
  if (values.length === 0) return log ? null : [0, 1];
  let [lo, hi] = [Infinity, -Infinity];
  for (const [, y, low, high] of values) {
    const bottom = low === null ? y : log ? Math.max(low, y / 3) : low;
    const top = high === null ? y : log ? Math.min(high, 3 * y) : high;
    lo = Math.min(lo, y, bottom);
    hi = Math.max(hi, y, top);
  }
  if (log) return [lo / Math.max((hi / lo) ** 0.06, 1.05), hi * Math.max((hi / lo) ** 0.06, 1.05)];
  const room = hi > lo ? 0.06 * (hi - lo) : 0.1 * (Math.abs(hi) || 1);
  return [lo >= 0 && lo < 0.35 * hi ? 0 : lo - room, hi + room];
};

"use strict";

// Light or dark: the system's choice, until the button is pressed.
(() => {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("lipscope-theme"); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem("lipscope-theme", theme); } catch { /* a file may have no storage */ } };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  if (stored() === "dark" || stored() === "light") root.dataset.theme = stored();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    store(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
})();

// Tables are sorted by their heads: ascending, descending, and as they were. What is missing stays last.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, i, numeric) => {
    const cell = row.cells[i];
    if (cell.hasAttribute("data-missing")) return null;
    return numeric ? Number(cell.dataset.v ?? cell.textContent) : cell.textContent;
  };
  const sort = (i) => {
    const numeric = heads[i].classList.contains("n");
    const next = { none: "ascending", ascending: "descending", descending: "none" }[heads[i].getAttribute("aria-sort")];
    for (const head of heads) head.setAttribute("aria-sort", "none");
    heads[i].setAttribute("aria-sort", next);
    const sign = next === "descending" ? -1 : 1;
    const compare = (a, b) => {
      const [x, y] = [value(a, i, numeric), value(b, i, numeric)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
    };
    body.append(...(next === "none" ? rows : [...rows].sort(compare)));
  };
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(i));
  });
}

// Escape puts an explanation away; the next word shows its own again.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.documentElement.classList.add("dismissed");
  if (document.activeElement?.classList.contains("term")) document.activeElement.blur();
});
for (const term of document.querySelectorAll(".term")) {
  for (const kind of ["pointerenter", "focus"]) term.addEventListener(kind, () => document.documentElement.classList.remove("dismissed"));
}

"use strict";
// Tables whose headings sort them: a button in each heading, aria-sort on the column.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, i) => {
    const cell = row.cells[i];
    const number = parseFloat(cell.dataset.sort ?? cell.textContent.replace(/[,\s>]/g, "").replace("−", "-"));
    return Number.isNaN(number) ? null : number;
  };
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("num");
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = numeric ? value(a, i) ?? -Infinity : a.cells[i].textContent;
        const y = numeric ? value(b, i) ?? -Infinity : b.cells[i].textContent;
        return (x < y ? 1 : x > y ? -1 : 0) * (down ? 1 : -1);
      });
      table.tBodies[0].append(...rows);
    });
  });
}

// The timeline: its viewBox is the stretch of time shown; buttons, wheel and drag change it.
for (const figure of document.querySelectorAll("figure.time")) {
  const svg = figure.querySelector("svg");
  const whole = parseFloat(svg.dataset.extent);
  const height = svg.viewBox.baseVal.height;
  const labels = [...figure.querySelectorAll(".ticks span")];
  const said = figure.querySelector(".at");
  const unit = said.textContent;
  let start = 0;
  let length = whole;
  const show = () => {
    length = Math.min(whole, Math.max(whole / 2000, length));
    start = Math.min(whole - length, Math.max(0, start));
    svg.setAttribute("viewBox", `${start} 0 ${length} ${height}`);
    labels.forEach((label, i) => {
      label.textContent = ((start + (length * i) / (labels.length - 1)) / 1000).toPrecision(4) * 1 + "";
    });
  };
  const zoom = (factor, at) => {
    const fixed = start + length * at;
    length = factor === 0 ? whole : length * factor;
    length = Math.min(whole, Math.max(whole / 2000, length));
    start = factor === 0 ? 0 : fixed - length * at;
    show();
  };
  for (const button of figure.querySelectorAll("button")) {
    button.addEventListener("click", () => zoom(parseFloat(button.dataset.zoom), 0.5));
  }
  svg.addEventListener("wheel", (event) => {
    if (length >= whole && event.deltaY > 0) return; // nothing to zoom out of: let the page scroll
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
  }, { passive: false });
  let grip = null;
  svg.addEventListener("pointerdown", (event) => { grip = { x: event.clientX, start }; });
  addEventListener("pointerup", () => { grip = null; });
  svg.addEventListener("pointermove", (event) => {
    if (grip) {
      start = grip.start - ((event.clientX - grip.x) / svg.getBoundingClientRect().width) * length;
      show();
    }
    const title = event.target.tagName === "rect" ? event.target.querySelector("title") : null;
    said.textContent = title ? title.textContent : unit;
  });
  svg.addEventListener("pointerleave", () => { said.textContent = unit; });
}

// On paper everything is open.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.profile, .finding details")) part.open = true;
});

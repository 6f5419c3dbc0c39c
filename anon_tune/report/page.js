"use strict";

const NARROW = window.matchMedia("(max-width: 640px)");
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };

for (const holder of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(holder.nextElementSibling.textContent);
  const draw = () => {
    const { data, wide, narrow } = structuredClone(spec); // a copy, because Plotly changes its arguments
    Plotly.react(holder, data, NARROW.matches ? narrow : wide, CONFIG);
  };
  draw();
  NARROW.addEventListener("change", draw);
}

// A click on a point of the front leads to the card of the trial, if it has one.
document.getElementById("front-plot")?.on("plotly_click", (event) => {
  const card = document.getElementById(`trial-${event.points[0].customdata}`);
  if (card) location.hash = card.id;
});

const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
      const known = keyed.filter(([value]) => value !== "");
      known.sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
      const unknown = keyed.filter(([value]) => value === ""); // these come last in both directions
      body.append(...[...known, ...unknown].map(([, row]) => row));
    });
  });
}

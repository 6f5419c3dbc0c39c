// The selected trials, which the front, the parallel axes and the table mark alike.
const selected = new Set();
const FADED = 0.15;

function select(ids) {
  selected.clear();
  for (const id of ids) selected.add(id);
  markSelected();
}

function markSelected() {
  for (const row of document.querySelectorAll("tr[data-trial]")) {
    row.classList.toggle("selected", selected.has(row.dataset.trial));
  }
  const button = document.getElementById("unselect");
  if (button) {
    button.hidden = selected.size === 0;
    const said = selected.size === 1 ? "1 trial is selected" : `${selected.size} trials are selected`;
    document.getElementById("selected-count").textContent = selected.size ? said : "";
  }
  markInFront();
  markInParallel();
}

function markInFront() {
  const plot = document.getElementById("front-plot");
  if (!plot?.data) return;
  const [at, values] = [[], []];
  plot.data.forEach((trace, index) => {
    if (!trace.customdata) return;
    at.push(index);
    values.push(selected.size ? trace.customdata.map((id) => (selected.has(id) ? 1 : FADED)) : 1);
  });
  if (at.length) Plotly.restyle(plot, { "marker.opacity": values, selectedpoints: [null] }, at);
}

function markInParallel() {
  const plot = document.getElementById("parallel-plot");
  if (!plot?.data) return;
  const line = specOf(plot).data[0].line;
  const ids = plot.data[0].customdata;
  const marked = ids.map((id) => (selected.has(id) ? 1 : 0));
  const scale = [[0, DARK.matches ? "#39424D" : "#DDE1E6"], [1, "#D55E00"]];
  const update = selected.size
    ? { "line.color": [marked], "line.colorscale": [scale], "line.cmin": 0, "line.cmax": 1, "line.showscale": false }
    : { "line.color": [line.color], "line.colorscale": [line.colorscale], "line.cmin": null, "line.cmax": null, "line.showscale": true };
  brushing = true;
  Plotly.restyle(plot, update).finally(() => { brushing = false; });
}
let brushing = false; // true while the marks are drawn, which Plotly reports like a drag of the reader

// The trials that pass through every range that the reader dragged along an axis; null if there is no range.
function brushed(plot) {
  const trace = plot.data[0];
  const limits = trace.dimensions.filter((axis) => axis.constraintrange);
  if (!limits.length) return null;
  const inside = (value, range) => range[0] <= value && value <= range[1];
  const passes = (index) =>
    limits.every((axis) => {
      const ranges = Array.isArray(axis.constraintrange[0]) ? axis.constraintrange : [axis.constraintrange];
      return ranges.some((range) => inside(axis.values[index], range));
    });
  return trace.customdata.filter((_, index) => passes(index));
}

drawnThen["parallel-plot"] = (plot) => {
  plot.on("plotly_restyle", () => {
    if (!brushing) select(brushed(plot) ?? []);
  });
  if (selected.size) markInParallel();
};

document.addEventListener("click", (event) => {
  if (event.target.id !== "unselect") return;
  const parallel = document.getElementById("parallel-plot");
  if (parallel?.data) draw(parallel); // without the ranges that the reader dragged
  select([]);
});

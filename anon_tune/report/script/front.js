// The plot of the front: its axes, what pointing and clicking do, and the pick under a leakage limit.
let normalized = false;
let limit = null; // the text of the slider, once the reader moved it

changed["front-plot"] = (spec) => {
  if (!normalized || !spec.normalized) return withLimit(spec);
  const { data, wide, narrow } = spec.normalized;
  data.forEach((trace, index) => { trace.hovertext = spec.data[index].hovertext; });
  return { data, wide, narrow };
};

// Marks the leakage limit as a line; on normalized axes it has no place, because floors and ceilings may differ.
function withLimit(spec) {
  const value = document.getElementById("limit")?.value;
  if (value === undefined) return spec;
  const line = { type: "line", x0: Number(value), x1: Number(value), y0: 0, y1: 1, yref: "paper", layer: "below" };
  for (const layout of [spec.wide, spec.narrow]) {
    layout.shapes = [...(layout.shapes ?? []), { ...line, line: { color: "#CC79A7", width: 2 }, name: "limit" }];
  }
  return spec;
}

drawnThen["front-plot"] = (plot) => {
  plot.on("plotly_click", (event) => {
    const id = event.points[0].customdata;
    if (id !== undefined) openTrial(id);
  });
  plot.on("plotly_hover", (event) => showPeek(event.points[0].customdata, event.event));
  plot.on("plotly_unhover", () => { peek.hidden = true; });
  plot.on("plotly_selected", (event) => {
    if (event) select(event.points.map((point) => point.customdata).filter((id) => id !== undefined));
  });
  plot.on("plotly_deselect", () => select([]));
  if (selected.size) markInFront();
};

// Shows a trial's picture beside the pointer.
function showPeek(id, at) {
  const address = id === undefined ? "" : pictureOf(id);
  if (!address || !at) return;
  const image = document.createElement("img");
  image.src = address;
  image.alt = "";
  image.addEventListener("error", () => { peek.hidden = true; });
  peek.replaceChildren(image);
  const left = at.clientX > innerWidth / 2 ? at.clientX - 250 : at.clientX + 20;
  peek.style.left = `${Math.max(left, 4)}px`;
  peek.style.top = `${Math.min(at.clientY + 60, innerHeight - 140)}px`;
  peek.hidden = false;
}

function pictureOf(id) {
  const card = document.getElementById(`trial-${id}`);
  const shown = card?.querySelector("video, img");
  if (shown) return shown.poster || shown.src;
  return LIVE === undefined ? "" : address(`media?trial=${encodeURIComponent(id)}&kind=still`);
}

function picks() {
  const holder = document.getElementById("picks");
  return holder ? JSON.parse(holder.textContent) : [];
}

// The same choice as that of `anon-tune export --leakage-at-most`.
function pickAt(value) {
  return picks().filter((one) => one.limit <= value).at(-1);
}

function showPick() {
  const slider = document.getElementById("limit");
  if (!slider) return;
  const words = Number(slider.value).toFixed(3);
  const pick = pickAt(Number(words));
  document.getElementById("limit-said").textContent = words;
  const place = document.getElementById("picked");
  place.replaceChildren();
  if (pick) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "link", textContent: `trial ${pick.trial}` });
    button.dataset.open = pick.trial;
    place.append("The pick is ", button, `: ${pick.said}.`);
  } else {
    const [lowest] = picks();
    place.append(`No trial keeps this limit on both splits. The lowest available is ${lowest.limit.toFixed(4)} (trial ${lowest.trial}).`);
  }
  const command = document.getElementById("pick-command");
  command.textContent = `${command.dataset.before} ${words} -o anonymizer.safetensors`;
  document.getElementById("pick-copy").dataset.copy = command.textContent;
  markPick(pick?.trial);
}

// Moves the line of the limit, and puts a ring around the pick.
function markPick(id) {
  const plot = document.getElementById("front-plot");
  if (!plot?.data || normalized) return;
  const at = (plot.layout.shapes ?? []).findIndex((shape) => shape.name === "limit");
  if (at < 0) return;
  const value = Number(document.getElementById("limit").value);
  Plotly.relayout(plot, { [`shapes[${at}].x0`]: value, [`shapes[${at}].x1`]: value, annotations: ring(plot, id) });
}

function ring(plot, id) {
  for (const trace of plot.data) {
    const at = trace.name === "certified" ? -1 : (trace.customdata ?? []).indexOf(id);
    if (at >= 0) {
      return [{ x: trace.x[at], y: trace.y[at], text: "pick", showarrow: true, arrowhead: 2, ax: 28, ay: 28, font: { color: "#CC79A7" }, arrowcolor: "#CC79A7" }];
    }
  }
  return [];
}

document.addEventListener("input", (event) => {
  if (event.target.id === "limit") {
    limit = event.target.value;
    showPick();
  }
  if (event.target.id === "normalized") {
    normalized = event.target.checked;
    const plot = document.getElementById("front-plot");
    plot.removeAttribute("data-drawn");
    Plotly.purge(plot); // the zoom of the other axes means nothing here
    draw(plot);
    markInFront();
    showPick();
  }
});

// Restores what the reader had set, after the section was replaced.
function restoreFront() {
  const [slider, box] = [document.getElementById("limit"), document.getElementById("normalized")];
  if (slider && limit !== null) slider.value = limit;
  if (box) box.checked = normalized;
  showPick();
}

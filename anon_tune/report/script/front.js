// The plot of the front: its axes, what pointing and clicking do, and the pick under a limit.
let normalized = false;
let rule = "leakage"; // the objective that the slider limits
const limits = {}; // by rule: the text of the slider, once the reader moved it

changed["front-plot"] = (spec) => {
  if (!normalized || !spec.normalized) return withLimit(spec);
  const { data, wide, narrow } = spec.normalized;
  data.forEach((trace, index) => { trace.hovertext = spec.data[index].hovertext; });
  return { data, wide, narrow };
};

// Marks the limit as a line, and the pick; on normalized axes a limit has no place, as floors and ceilings may differ.
function withLimit(spec) {
  const slider = document.getElementById("limit");
  if (!slider) return spec;
  const annotations = ring(spec, pickAt(picks()[rule].steps, Number(slider.value))?.trial);
  for (const layout of [spec.wide, spec.narrow]) {
    Object.assign(layout, { shapes: [...(layout.shapes ?? []), limitLine()], annotations });
  }
  return spec;
}

function limitLine() {
  const [across, along] = rule === "leakage" ? ["x", "y"] : ["y", "x"];
  const value = Number(document.getElementById("limit").value);
  const place = { [`${across}0`]: value, [`${across}1`]: value, [`${along}0`]: 0, [`${along}1`]: 1, [`${along}ref`]: "paper" };
  return { type: "line", layer: "below", line: { color: "#CC79A7", width: 2 }, name: "limit", ...place };
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

// On the page that compares studies, a click on a point leads to the page of its study, which opens the trial.
for (const id of ["fronts-plot", "fronts-normalized-plot"]) {
  drawnThen[id] = (plot) => plot.on("plotly_click", (event) => {
    const { data, customdata } = event.points[0];
    if (data.meta) location.assign(`${data.meta}#open=${encodeURIComponent(customdata)}`);
  });
}

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
  return holder ? JSON.parse(holder.textContent) : null;
}

// The same choice as that of `anon-tune export` with --leakage-at-most or --accuracy-at-least.
function pickAt(steps, value) {
  return steps.filter((one) => (rule === "leakage" ? one.limit <= value : one.limit >= value)).at(-1);
}

function showPick() {
  const slider = document.getElementById("limit");
  if (!slider) return;
  const { steps, command } = picks()[rule];
  const words = Number(slider.value).toFixed(3);
  const pick = pickAt(steps, Number(words));
  document.getElementById("limit-said").textContent = words;
  const place = document.getElementById("picked");
  place.replaceChildren();
  if (pick) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "link", textContent: `trial ${pick.trial}` });
    button.dataset.open = pick.trial;
    place.append("The pick is ", button, `: ${pick.said}.`);
  } else {
    const end = rule === "leakage" ? "lowest" : "highest";
    place.append(`No trial keeps this limit on both splits. The ${end} available is ${steps[0].limit.toFixed(4)} (trial ${steps[0].trial}).`);
  }
  const line = `${command} ${words} -o anonymizer.safetensors`;
  document.getElementById("pick-command").textContent = line;
  document.getElementById("pick-copy").dataset.copy = line;
  markPick(pick?.trial);
}

// Moves the line of the limit, and names the pick.
function markPick(id) {
  const plot = document.getElementById("front-plot");
  if (!plot?.data || normalized) return;
  const others = (plot.layout.shapes ?? []).filter((shape) => shape.name !== "limit");
  Plotly.relayout(plot, { shapes: [...others, limitLine()], annotations: ring(plot, id) });
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
    limits[rule] = event.target.value;
    showPick();
  }
  if (event.target.name === "rule") {
    rule = event.target.value;
    restoreFront();
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
  if (slider) {
    slider.value = limits[rule] ?? picks()[rule].start;
    document.querySelector(`input[name=rule][value=${rule}]`).checked = true;
  }
  if (box) box.checked = normalized;
  showPick();
}

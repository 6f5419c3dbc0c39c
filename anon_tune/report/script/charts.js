// Draws charts once they come near the window, in the colours of the reader's scheme.
const NARROW = window.matchMedia("(max-width: 640px)");
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "autoScale2d"] };
const DARK_COLOURS = {
  "#1F2933": "#E4E7EB", "#FFFFFF": "#1A2027", "#E8EBEF": "#2B333D", "#C5CCD3": "#4A5561", "#5F6B76": "#A3AEBA",
  "#0072B2": "#4BA3DB",
};

// Replaces colours that are whole values; texts of a study stay as they are.
function inScheme(value) {
  if (typeof value === "string") return DARK_COLOURS[value.toUpperCase()] ?? value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(inScheme);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, TEXTS.has(key) ? inner : inScheme(inner)]));
}
const TEXTS = new Set(["x", "y", "hovertext", "text", "customdata", "name", "values", "ticktext", "tickvals"]);

const specs = new WeakMap(); // the parsed chart of an element
const changed = {}; // by id of a chart: changes its spec, a copy, before it is drawn
const drawnThen = {}; // by id of a chart: called with the element after it is drawn for the first time

function specOf(holder) {
  if (!specs.has(holder)) specs.set(holder, JSON.parse(holder.nextElementSibling.textContent));
  return specs.get(holder);
}

function draw(holder) {
  const first = !holder.classList.contains("js-plotly-plot");
  let spec = structuredClone(specOf(holder)); // a copy, because Plotly changes its arguments
  spec = changed[holder.id]?.(spec) ?? spec;
  if (DARK.matches) spec = inScheme(spec);
  const layout = { ...(NARROW.matches ? spec.narrow : spec.wide), uirevision: "kept" };
  Plotly.react(holder, spec.data, layout, CONFIG);
  holder.dataset.drawn = "";
  if (first) drawnThen[holder.id]?.(holder);
}

const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      if (entry.target.isConnected) draw(entry.target);
    }
  },
  { rootMargin: "300px" },
);

function watchCharts(root) {
  for (const holder of root.querySelectorAll(".chart")) {
    if (holder.classList.contains("js-plotly-plot") || holder.id === "front-plot") draw(holder);
    else near.observe(holder);
  }
}

function redrawAll() {
  for (const holder of document.querySelectorAll(".chart.js-plotly-plot")) draw(holder);
  if (selected.size) markSelected();
}
NARROW.addEventListener("change", redrawAll);
DARK.addEventListener("change", redrawAll);

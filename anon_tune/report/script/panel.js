// The panel with everything about one trial, and pictures.
const panel = document.getElementById("panel");
const peek = document.getElementById("peek");
const LIVE = document.body.dataset.live; // address of the study on the server; undefined on a frozen page
const TOKEN = document.body.dataset.token;
let opener = null; // what had the focus before the panel opened
let shownTrial = null;

function address(path) {
  return `${LIVE}/${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(TOKEN)}`;
}

let frozenPanels = null;
async function panelOf(id) {
  if (LIVE !== undefined) {
    const answer = await fetch(address(`panel?trial=${encodeURIComponent(id)}`));
    return answer.ok ? answer.text() : null;
  }
  frozenPanels ??= JSON.parse(document.getElementById("panels").textContent);
  return Object.hasOwn(frozenPanels, id) ? frozenPanels[id] : null;
}

async function openTrial(id) {
  if (panel.hidden) opener = document.activeElement;
  shownTrial = id;
  peek.hidden = true;
  const html = await panelOf(id);
  if (shownTrial !== id) return; // the reader has clicked another trial meanwhile
  fillPanel(id, html);
  panel.hidden = false;
  panel.scrollTop = 0;
  panel.focus();
}

function fillPanel(id, html) {
  const content = document.getElementById("panel-content");
  content.innerHTML = html ?? '<h3 id="panel-title"></h3><p class="none"></p>';
  if (html === null) {
    content.querySelector("h3").textContent = `Trial ${id}`;
    const why = LIVE === undefined ? "This page does not hold it. 'anon-tune dashboard' shows every trial." : "It is gone.";
    content.querySelector("p").textContent = why;
  }
  const looks = content.querySelector(".looks");
  const figure = document.getElementById(`trial-${id}`)?.querySelector("figure");
  if (looks && !looks.firstChild && figure) looks.append(figure.cloneNode(true));
  watchMedia(content);
  panel.dataset.trial = id;
  panel.hidden = false; // charts are drawn with the width that they have on the page, once the reader comes near
  watchCharts(content);
  const order = alongFront();
  const at = order.indexOf(id);
  document.getElementById("panel-before").disabled = at <= 0;
  document.getElementById("panel-after").disabled = at < 0 || at === order.length - 1;
}

// The trials of the front in order of their leakage.
function alongFront() {
  return JSON.parse(document.getElementById("front-plot")?.dataset.front ?? "[]");
}

function closePanel() {
  if (panel.hidden) return;
  panel.hidden = true;
  shownTrial = null;
  document.getElementById("panel-content").replaceChildren();
  if (opener?.isConnected) opener.focus();
}

function step(by) {
  const order = alongFront();
  const next = order[order.indexOf(panel.dataset.trial) + by];
  if (next !== undefined && order.includes(panel.dataset.trial)) openTrial(next);
}

document.getElementById("panel-close").addEventListener("click", closePanel);
document.getElementById("panel-before").addEventListener("click", () => step(-1));
document.getElementById("panel-after").addEventListener("click", () => step(1));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePanel();
  if (event.target.tagName === "VIDEO" && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    if (event.target.paused) event.target.play();
    else event.target.pause();
  }
  if (!panel.contains(event.target) || event.target.tagName === "VIDEO") return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

document.addEventListener("click", (event) => {
  const open = event.target.closest("[data-open]");
  if (open) {
    event.preventDefault();
    openTrial(open.dataset.open);
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) copyText(copy);
});

async function copyText(button) {
  const words = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(words);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code")); // a page in a file may not copy
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

// A video that cannot be played is replaced by its still image. One out of sight does not play.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !STILL.matches) target.play().catch(() => {});
    else target.pause();
  }
});

function watchMedia(root) {
  for (const video of root.querySelectorAll("video")) {
    if (STILL.matches) video.removeAttribute("autoplay");
    video.muted = true; // the attribute does not count for elements that a script makes
    seen.observe(video);
    video.addEventListener("error", () => stillInstead(video));
    if (video.error) stillInstead(video);
  }
}

function stillInstead(video) {
  if (!video.isConnected || !video.getAttribute("poster")) return;
  const image = document.createElement("img");
  image.src = video.poster;
  image.alt = video.getAttribute("aria-label");
  video.replaceWith(image);
}

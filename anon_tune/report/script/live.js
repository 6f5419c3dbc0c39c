// Asks the server for the sections that have changed, and replaces these alone.
const LOOK_EVERY_MS = 1500;

// While the reader presses something, nothing is replaced: the release would meet another element, which makes no click.
let isPressed = false;
for (const name of ["pointerdown", "keydown"]) {
  document.addEventListener(name, (event) => {
    if (event.button !== 2) isPressed = true; // the release of a right press may go to its menu alone
  }, true);
}
for (const name of ["pointerup", "pointercancel", "keyup"]) {
  document.addEventListener(name, () => setTimeout(() => { isPressed = false; }), true); // the click comes first
}
window.addEventListener("blur", () => { isPressed = false; });

async function released() {
  while (isPressed) await new Promise((then) => setTimeout(then, 50));
}

function marks() {
  return [...document.querySelectorAll(".content[data-mark]")]
    .map((content) => `${content.parentElement.id}:${content.dataset.mark}`)
    .join(",");
}

async function look() {
  const state = document.getElementById("connection");
  try {
    const answer = await fetch(address(`changes?have=${encodeURIComponent(marks())}`), { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const { title, sections } = await answer.json();
    if (sections.length) await released();
    const heading = document.querySelector("h1");
    if (title && heading.innerHTML !== title) heading.innerHTML = title;
    document.title = heading.textContent;
    for (const one of sections) replaceSection(one);
    if (state) state.textContent = "";
  } catch {
    if (state) state.textContent = "The server does not answer; what you see may be out of date.";
  }
  setTimeout(look, LOOK_EVERY_MS);
}

function replaceSection({ key, mark, html }) {
  const content = document.getElementById(key)?.querySelector(":scope > .content");
  if (!content) return location.reload(); // a section that the page did not have when it came
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const focused = content.contains(document.activeElement) ? placeOf(document.activeElement, content) : null;
  const unfolded = [...content.querySelectorAll("details[open]")].map(foldOf);
  const ticked = [...content.querySelectorAll("input[name=study]:checked")].map((one) => one.value);
  const tall = content.querySelector(".tall")?.scrollTop;
  keepDrawn(content, fresh.content);
  content.replaceChildren(fresh.content);
  content.dataset.mark = mark;
  for (const one of content.querySelectorAll("details")) one.open = unfolded.includes(foldOf(one));
  for (const box of content.querySelectorAll("input[name=study]")) box.checked = ticked.includes(box.value);
  if (tall) content.querySelector(".tall")?.scrollTo(0, tall);
  arrived(content);
  if (focused) likeIt(focused, content)?.focus({ preventScroll: true }); // last, as sorting a table moves its rows
}

// Charts keep their elements, and so the zoom that the reader chose. Videos that are playing go on.
function keepDrawn(before, fresh) {
  for (const holder of fresh.querySelectorAll(".chart")) {
    const drawn = holder.id && before.querySelector(`#${CSS.escape(holder.id)}.js-plotly-plot`);
    if (!drawn) continue;
    specs.set(drawn, JSON.parse(holder.nextElementSibling.textContent));
    drawn.style.cssText = holder.style.cssText;
    Object.assign(drawn.dataset, holder.dataset);
    holder.replaceWith(drawn);
  }
}

function foldOf(details) {
  return `${details.closest("article")?.id} ${details.querySelector("summary").textContent}`;
}

// What tells an element from others after the section was replaced, and its place among those that are like it.
function placeOf(element, content) {
  const name = nameOf(element);
  const alike = [...content.querySelectorAll(element.tagName)].filter((one) => nameOf(one) === name);
  return { tag: element.tagName, name, index: alike.indexOf(element) };
}

function likeIt({ tag, name, index }, content) {
  const alike = [...content.querySelectorAll(tag)].filter((one) => nameOf(one) === name);
  return alike[index] ?? alike[0];
}

function nameOf(element) {
  const { open, copy } = element.dataset;
  return element.id || open || copy || element.getAttribute("aria-label") || element.value || element.textContent;
}

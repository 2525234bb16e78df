// The last answers, kept in this browser: a small photograph, the words, the bars, the time.
const MOST = 12, SIDE = 320, key = `frostflower.answers.${props.store}`;
const part = name => element.querySelector(`[data-part="${name}"]`);
let entries = [], opened = -1;

function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    entries = Array.isArray(found) ? found.filter(isEntry).slice(0, MOST) : [];
  } catch {  // not ours, or a browser that keeps nothing
    entries = [];
  }
}

function isEntry(one) {
  return one && [one.headline, one.sentence, one.text, one.time].every(
    value => typeof value === "string") && Array.isArray(one.bars) &&
    String(one.picture).startsWith("data:image/jpeg;base64,");
}

function write() {
  try {
    localStorage.setItem(key, JSON.stringify(entries));
  } catch {
    part("note").textContent = "This browser keeps nothing: they go when the page is closed.";
  }
}

function draw() {
  const list = part("list"), detail = part("detail");
  list.replaceChildren(...entries.map((one, at) => {
    const button = make("button", "", {type: "button", "data-at": at,
      "aria-expanded": String(at === opened), title: one.headline});
    button.append(make("img", "", {src: one.picture, alt: ""}), make("span", one.headline));
    const item = make("li");
    item.append(button);
    return item;
  }));
  part("empty").hidden = entries.length > 0;
  part("note").hidden = part("clear").hidden = entries.length === 0;
  detail.hidden = opened < 0;
  if (opened < 0) return detail.replaceChildren();
  const one = entries[opened], words = make("div"), bars = make("div", "", {class: "ff-bars"});
  one.bars.forEach(([name, share, value], rank) => {
    const mark = rank ? "" : " first";
    bars.append(make("span", name, {class: `name${mark}`}),
      make("span", share, {class: `share${mark}`}),
      make("meter", "", {class: mark, min: 0, max: 1, value, "aria-label": name}));
  });
  const actions = make("div", "", {class: "ff-actions"});
  actions.append(make("button", "Copy as text", {type: "button", "data-copy": one.text}),
    make("button", "Close", {type: "button", "data-close": ""}));
  words.append(make("p", one.headline, {class: "ff-answer"}),
    make("p", one.sentence, {class: "ff-sure"}), bars,
    make("p", `Answered ${new Date(one.time).toLocaleString()}`, {class: "ff-note"}), actions);
  detail.replaceChildren(make("img", "", {src: one.picture, alt: "The photograph"}), words);
}

async function picture() {
  const shown = document.querySelector("#preview img") ?? document.querySelector("#photograph img");
  if (!shown) return null;
  await shown.decode();
  const scale = Math.min(1, SIDE / Math.max(shown.naturalWidth, shown.naturalHeight));
  const canvas = make("canvas", "", {width: Math.max(1, Math.round(shown.naturalWidth * scale)),
    height: Math.max(1, Math.round(shown.naturalHeight * scale))});
  canvas.getContext("2d").drawImage(shown, 0, 0, canvas.width, canvas.height);
  return [shown.currentSrc, canvas.toDataURL("image/jpeg", 0.75)];
}

async function remember() {
  const card = document.querySelector("#top5 .ff-result"), text = name => card.querySelector(name);
  if (!card || !text(".ff-answer")) return;
  const bars = [...card.querySelectorAll("meter")].map(bar => [
    bar.getAttribute("aria-label"), bar.previousElementSibling.textContent, bar.value]);
  const entry = {headline: text(".ff-answer").textContent, bars, time: new Date().toISOString(),
    sentence: text("[role=status]").textContent, text: text("[data-copy]").dataset.copy};
  const drawn = await picture();
  if (!drawn) return;
  [entry.photo, entry.picture] = drawn;
  entries = [entry, ...entries.filter(one => one.photo !== entry.photo)].slice(0, MOST);
  opened = -1;
  write();
  draw();
}

function onAnswer() {
  if (!element.isConnected) return document.removeEventListener("ff-answer", onAnswer);
  remember().catch(error => console.warn("The answer is not among the last ones:", error));
}

document.addEventListener("ff-answer", onAnswer);
element.addEventListener("click", event => {
  const chosen = event.target.closest("[data-at]");
  if (chosen) {
    opened = Number(chosen.dataset.at) === opened ? -1 : Number(chosen.dataset.at);
    draw();
    element.querySelector(`[data-at="${chosen.dataset.at}"]`)?.focus();
  }
  if (event.target.closest("[data-close]")) {
    const before = opened;
    opened = -1;
    draw();
    element.querySelector(`[data-at="${before}"]`)?.focus();
  }
  if (event.target.closest("[data-part=clear]")) {
    [entries, opened] = [[], -1];
    try { localStorage.removeItem(key); } catch (error) { console.warn(error); }
    draw();
  }
});
read();
draw();

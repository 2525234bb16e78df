// The last answers, which only this browser keeps: a small photograph, the words, bars and time.
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
  } catch {  // another program's value, or a browser that stores nothing
    entries = [];
  }
}

function isEntry(one) {
  return one && [one.headline, one.sentence, one.short, one.text, one.time].every(
    value => typeof value === "string") && Array.isArray(one.bars) &&
    String(one.picture).startsWith("data:image/jpeg;base64,");
}

function write() {
  try {
    localStorage.setItem(key, JSON.stringify(entries));
  } catch {
    part("note").textContent = "This browser does not let the page save anything; new answers are lost when you close it.";
  }
}

function draw() {
  const list = part("list"), detail = part("detail");
  list.replaceChildren(...entries.map((one, at) => {
    const button = make("button", "", {type: "button", "data-at": at,
      "aria-expanded": String(at === opened), title: one.headline});
    button.append(make("img", "", {src: one.picture, alt: ""}), make("span", one.short));
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
  return canvas.toDataURL("image/jpeg", 0.75);
}

async function remember() {
  const card = document.querySelector("#top5 .ff-result"), text = name => card.querySelector(name);
  const photo = card?.dataset.asked, asked = document.querySelector("#asked textarea")?.value;
  if (!photo || !asked || JSON.parse(asked).first !== photo) return;  // another one is shown now
  const bars = [...card.querySelectorAll("meter")].map(bar => [
    bar.getAttribute("aria-label"), bar.previousElementSibling.textContent, bar.value]);
  const entry = {photo, headline: text(".ff-answer").textContent, bars, short: card.dataset.short,
    time: new Date().toISOString(), sentence: text("[role=status] p + p").textContent,
    text: text("[data-copy]").dataset.copy};
  entry.picture = await picture();
  if (!entry.picture || card.dataset.asked !== photo) return;
  read();  // another tab may have changed the list
  entries = [entry, ...entries.filter(one => one.photo !== photo)].slice(0, MOST);
  opened = -1;
  write();
  draw();
}

// Gradio removes this part when another classifier is shown; its listeners must then be removed, too.
const listening = new AbortController();
function whileHere(listener) {
  return event => element.isConnected ? listener(event) : listening.abort();
}

document.addEventListener("ff-answer", whileHere(() => remember().catch(
  error => console.warn("The answer could not be added to the last answers:", error))),
  {signal: listening.signal});
window.addEventListener("storage", whileHere(event => {
  if (event.key !== key && event.key !== null) return;
  [opened] = [-1];
  read();
  draw();
}), {signal: listening.signal});
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
    part("title").focus();
  }
});
read();
draw();
// Adds an answer that came while another classifier was shown.
document.dispatchEvent(new Event("ff-answer"));

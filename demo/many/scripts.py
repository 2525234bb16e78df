"""What the page does in the browser: it sends files one by one, and tells rows that are chosen.

Gradio's own file input sends all files in one request, which `demo.uploads` bounds to the size of
one photograph; and it takes either files or a folder.
"""

import json

from demo.many.status import WAITING
from demo.markup import html

DROP = html(
    """<div class="ff-drop" data-part="area">
<p class="ff-drop-title">Drop or choose photographs, a folder or a zip file</p>
<div class="ff-drop-buttons">
<button type="button" data-part="files">Choose files</button>
<button type="button" data-part="folder">Choose a folder</button>
<button type="button" data-part="stop" hidden>Stop sending</button>
</div>
<input type="file" data-part="files-input" multiple hidden aria-hidden="true" tabindex="-1">
<input type="file" data-part="folder-input" webkitdirectory hidden aria-hidden="true" tabindex="-1">
<p class="ff-text" data-part="said" role="status"></p>
</div>"""
)

DROP_SCRIPT = """
const part = name => element.querySelector(`[data-part="${name}"]`);
const say = text => { part("said").textContent = text; };
const junk = name => name.split("/").some(
  one => one.startsWith(".") || ["thumbs.db", "desktop.ini"].includes(one.toLowerCase()));
let sending = false, stopped = false, note = "";

async function below(entry, above) {
  if (entry.isFile) {
    const file = await new Promise((good, bad) => entry.file(good, bad));
    return [[above + file.name, file]];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((good, bad) => reader.readEntries(good, bad));
    if (!some.length) return found;
    for (const one of some) found.push(...await below(one, `${above}${entry.name}/`));
  }
}

function busy(now) {
  sending = now;
  part("stop").hidden = !now;
  for (const name of ["files", "folder"]) part(name).disabled = now;
}

async function send(all) {
  const files = all.filter(([name]) => !junk(name));
  if (sending) {
    note = " What was dropped meanwhile is not sent; please drop it again after this.";
    return say(part("said").textContent.replace(note, "") + note);
  }
  if (!files.length) return say("There are no files in it.");
  if (files.length > props.most) {
    say(`${files.length} files are more than ${props.most}. Nothing was sent.`);
    return trigger("input", {count: files.length, files: []});
  }
  const sizes = files.map(([, file]) => file.size).filter(size => size <= props.max_bytes);
  const size = sizes.reduce((sum, one) => sum + one, 0);
  if (size > props.most_bytes) {
    say(`${(size / 1e9).toFixed(2)} GB are more than ${props.most_bytes / 1e9} GB. ` +
      "Nothing was sent.");
    return trigger("input", {size, files: []});
  }
  const sent = [];
  let next = 0, done = 0;
  [stopped, note] = [false, ""];
  busy(true);
  const sender = async () => {
    while (next < files.length && !stopped) {
      const at = next++, [name, file] = files[at];
      let path = "";
      if (file.size <= props.max_bytes) {
        try { path = (await upload(file)).path; } catch (error) { console.warn(name, error); }
      }
      sent[at] = {name, path, size: file.size};
      say(`Sending: ${++done} of ${files.length} files.${note}`);
    }
  };
  say(`Sending: 0 of ${files.length} files.`);
  await Promise.all([sender(), sender(), sender()]);
  const focused = document.activeElement === part("stop");
  busy(false);
  if (focused) part("files").focus();
  if (stopped) return say("Sending was stopped. Nothing was classified.");
  say(`${files.length} ${files.length === 1 ? "file was" : "files were"} sent.${note}`);
  trigger("submit", {files: sent});
}

for (const name of ["files", "folder"]) {
  const input = part(`${name}-input`);
  part(name).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files].map(file => [file.webkitRelativePath || file.name, file]);
    input.value = "";
    send(files);
  });
}
part("stop").addEventListener("click", () => { stopped = true; });
const area = part("area");
area.addEventListener("dragover", event => { event.preventDefault(); area.classList.add("over"); });
area.addEventListener("dragleave", () => area.classList.remove("over"));
area.addEventListener("drop", async event => {
  event.preventDefault();
  area.classList.remove("over");
  // Read at once: the browser empties the list when this function first waits.
  const items = [...event.dataTransfer.items].map(
    item => [item.webkitGetAsEntry(), item.getAsFile()]);
  const found = [];
  try {
    for (const [entry, file] of items) {
      if (entry) found.push(...await below(entry, ""));
      else if (file) found.push([file.name, file]);
    }
  } catch (error) {
    console.warn(error);
    if (sending) return send(found);
    return say("The browser cannot read a file or folder in it. Nothing was sent; please choose " +
      "the photographs again.");
  }
  send(found);
});
"""

TABLE_SCRIPT = """
element.addEventListener("click", event => {
  const page = event.target.closest("[data-page]"), row = event.target.closest("[data-row]");
  if (page) trigger("input", {page: Number(page.dataset.page)});
  else if (row) trigger("select", {row: Number(row.dataset.row)});
});
"""

DETAIL_SCRIPT = """
element.addEventListener("click", event => {
  const close = event.target.closest("[data-close]");
  if (!close) return;
  const row = document.querySelector(`#many-table [data-row="${close.dataset.close}"]`);
  props.value = "";
  row?.scrollIntoView({block: "center"});
  row?.querySelector("button").focus({preventScroll: true});
});
watch("value", () => {
  const shown = element.querySelector(".ff-detail");
  shown?.scrollIntoView({block: "start"});
  shown?.focus({preventScroll: true});
});
"""

WAITING_SCRIPT = f"() => {json.dumps(WAITING)}"

DOWNLOAD_SCRIPT = """
() => {
  const press = () => document.querySelector("#many-zip")?.click();
  setTimeout(press, 200);
}
"""

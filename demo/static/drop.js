// Sends dropped or chosen files one by one, and the photographs inside zip files. It needs
// `unzip.js`, which must come before it.
const part = name => element.querySelector(`[data-part="${name}"]`);
const say = text => { part("said").textContent = text; };
const isJunk = name => name.split("/").some(
  one => one.startsWith(".") || props.junk.includes(one.toLowerCase()));
const isPhotograph = name => props.endings.includes(/\.[^./]*$/.exec(name)?.[0].toLowerCase());
const isZip = name => name.toLowerCase().endsWith(".zip");
const short = name => name.length > 1000 ? name.slice(0, 500) + name.slice(-500) : name;
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
  const focused = document.activeElement === part("stop");
  sending = now;
  part("stop").hidden = !now;
  for (const name of ["files", "folder"]) part(name).disabled = now;
  if (focused && !now) part("files").focus();
}

// Hides the line "Nothing has been sent yet" while files are being sent.
function hideNothing(hidden) {
  const line = document.querySelector("#many-status .ff-nothing");
  if (line) line.hidden = hidden;
}

// Lists the photographs inside a zip file, each as {name, size, reason, read} like other files.
async function inside(name, file) {
  say(`Reading ${name} …`);
  const entries = await listZip(file);
  const photographs = entries.filter(one => isPhotograph(one.name) && !isJunk(one.name));
  if (!photographs.length) return [{name, size: file.size, reason: "empty"}];
  return photographs.map(entry => ({name: `${name}/${entry.name}`, size: entry.size,
    reason: entry.size > props.max_bytes ? "large" : flawOf(entry),
    read: () => readEntry(entry, props.max_bytes)}));
}

// Lists all files to send; null if nothing can be sent, after telling the visitor why.
async function listed(files) {
  const items = [];
  for (const [name, file] of files) {
    if (stopped) return null;
    if (!isZip(name)) {
      const reason = file.size > props.max_bytes ? "large" : "";
      items.push({name, size: file.size, reason, read: () => ({file})});
      continue;
    }
    try {
      for (const one of await inside(name, file)) items.push(one);
    } catch (error) {
      console.warn(name, error);
      say(`${name} cannot be read: it is damaged, or is not a zip file. Nothing was sent.`);
      return null;
    }
  }
  return items;
}

function fits(items) {
  if (!items.length) {
    say("There are no files to send.");
    return false;
  }
  if (items.length > props.most) {
    say(`At most ${props.most} files can be sent, not ${items.length}. Nothing was sent.`);
    trigger("input", {count: items.length, files: []});
    return false;
  }
  const size = items.reduce((sum, one) => sum + (one.reason ? 0 : one.size), 0);
  if (size <= props.most_bytes) return true;
  say(`At most ${props.most_bytes / 1e9} GB can be sent, not ${(size / 1e9).toFixed(2)} GB. ` +
    "Nothing was sent.");
  trigger("input", {size, files: []});
  return false;
}

async function sendOne({name, size, reason, read}) {
  let path = "";
  if (!reason) {
    try {
      const found = await read();
      if (found.file) path = (await upload(found.file)).path;
      else reason = found.reason;
    } catch (error) {
      console.warn(name, error);
    }
  }
  return {name: short(name), path, size, reason};
}

async function sendAll(items) {
  const sent = [];
  let next = 0, done = 0;
  const sender = async () => {
    while (next < items.length && !stopped) {
      const at = next++;
      sent[at] = await sendOne(items[at]);
      say(`Sending: ${++done} of ${items.length} files.${note}`);
    }
  };
  say(`Sending: 0 of ${items.length} files.${note}`);
  await Promise.all([sender(), sender(), sender()]);
  return sent;
}

async function send(all) {
  if (sending) {
    note = " Files dropped meanwhile are not sent; please drop them again later.";
    return say(part("said").textContent.replace(note, "") + note);
  }
  [stopped, note] = [false, ""];
  busy(true);
  hideNothing(true);
  const items = await listed(all.filter(([name]) => !isJunk(name)));
  const sent = items && !stopped && fits(items) ? await sendAll(items) : null;
  busy(false);
  hideNothing(Boolean(sent) && !stopped);
  if (stopped) return say("Sending was stopped. Nothing was classified.");
  if (!sent) return;
  say(`${sent.length} ${sent.length === 1 ? "file was" : "files were"} sent.${note}`);
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
    return say("The browser cannot read one of the files. Nothing was sent; please choose the " +
      "photographs again.");
  }
  send(found);
});

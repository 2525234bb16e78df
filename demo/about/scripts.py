"""What the About tab does in the browser."""

SNIPPETS_SCRIPT = r"""
// What a URL may hold but a program's text might take for something else is encoded.
const address = (location.origin + location.pathname).replace(/\/+$/, "").replace(
  /[^\w\-.~:\/%\[\]]/g, mark => "%" + mark.charCodeAt(0).toString(16).padStart(2, "0"));
const all = selector => [...element.querySelectorAll(selector)];
for (const place of all("[data-address]")) place.textContent = address;

// Gradio says who has signed in; null where the page asks nobody.
fetch(address + "/gradio_api/user").then(answer => answer.ok ? answer.json() : null).then(user => {
  if (user === null) return;
  for (const place of all("[data-signed-in]")) place.textContent = place.dataset.signedIn;
  for (const note of all(".ff-signed-in")) note.hidden = false;
}).catch(error => console.warn(error));

const status = element.querySelector(".ff-said");
let shown = 0;
function say(text, button, label) {
  clearTimeout(shown);
  for (const other of all("[data-program]")) other.textContent = "Copy";
  status.textContent = text;
  button.textContent = label;
  shown = setTimeout(() => { status.textContent = ""; button.textContent = "Copy"; }, 4000);
}

async function copy(button) {
  const code = element.querySelector(`[data-code="${button.dataset.program}"] code`);
  try {
    await navigator.clipboard.writeText(code.textContent);
    say("Copied", button, "Copied");
  } catch (error) {  // no permission; or no clipboard, as on a page without https
    getSelection().selectAllChildren(code);
    say("This browser does not let the page copy. The program is selected: copy it with Ctrl+C, " +
      "or ⌘C on a Mac.", button, "Selected");
  }
}

element.addEventListener("click", event => {
  const copied = event.target.closest("[data-program]");
  if (copied) return copy(copied);
  const chosen = event.target.closest("[data-language]")?.dataset.language;
  if (!chosen) return;
  for (const button of all("[data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === chosen);
  for (const block of all("[data-code]")) block.hidden = block.dataset.code !== chosen;
});
"""

STATUS_SCRIPT = 'element.setAttribute("role", "status");'

BUSY_SCRIPT = (
    "() => 'The file is being made. This takes some seconds, or minutes on a slow server.'"
)


def press(elem_id: str) -> str:
    """Return a script that presses a button that has just got its file.

    Args:
        elem_id: The button's id, letters, digits, `-` and `_`.
    """
    return f"() => {{ setTimeout(() => document.getElementById('{elem_id}')?.click(), 200); }}"

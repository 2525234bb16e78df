"""The scripts of the tab: the browser sends photographs one by one, and reports which is chosen.

Gradio's own file input is not used: it sends all files in one request, which `demo.uploads` limits
to the size of one photograph, and it accepts either files or a folder. The browser also unpacks zip
files, which may be as large as all photographs together.
"""

import json

from demo.many.status import STARTING, WAITING_TEXT
from demo.markup import html
from demo.style import script

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

DROP_SCRIPT = script("unzip") + script("drop")
TABLE_SCRIPT = script("many_table")
DETAIL_SCRIPT = script("many_detail")

# A batch that need not wait begins within 3 s, so a later "starting" means that it waits.
STARTING_SCRIPT = f"""
() => {{
  setTimeout(() => {{
    const starting = document.querySelector("#many-status [data-starting]");
    if (starting) starting.textContent = {json.dumps(WAITING_TEXT)};
  }}, 3000);
  return {json.dumps(STARTING)};
}}
"""

# `element` stays when its content is replaced, so screen readers read the new content. Gradio has
# no tooltip for buttons, and adds this button to the page only when there is something to count.
COUNT_SCRIPT = """
element.setAttribute("role", "status");
watch("value", () => setTimeout(() => {
  const sorted = document.querySelector("#many-sorted");
  if (sorted) sorted.title = "a zip file with a folder for each class";
}));
"""

DOWNLOAD_SCRIPT = """
() => {
  const press = () => document.querySelector("#many-zip")?.click();
  setTimeout(press, 200);
}
"""

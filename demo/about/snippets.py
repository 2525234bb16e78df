"""Programs that use the page, in three languages, with the address in the visitor's browser.

The browser fills in the address, because the server cannot rely on the headers of a request:
proxies do not always pass on the name, scheme and path (`X-Forwarded-Host`, `-Proto`, `-Prefix`),
Gradio's tunnel never does, and a page may be cached. The address bar is always right, as the page
has just been loaded from there. Only the Python program on a Space has another address, USER/NAME,
which the server knows.
"""

import os
import re

from markupsafe import Markup

from demo.markup import html, join

_FIELD = re.compile(r"(ADDRESS|«[^»]*»)")  # the address, and parts for pages with a sign-in

_PYTHON = """\
# pip install gradio_client
from gradio_client import Client, handle_file

client = Client("ADDRESS"«, auth=("USER", "PASSWORD")»)
answer, details = client.predict(handle_file("photograph.jpg"), api_name="/ENDPOINT")
print(answer["label"], details["set"])
"""

# It contains no comments and no $'…', because people paste it into a terminal, and zsh does not
# accept comments there.
_CURL = """\
page="ADDRESS" photograph="photograph.jpg"
«cookies=$(mktemp)
curl -fsS -c "$cookies" -o /dev/null --data-urlencode "username=USER" \\
  --data-urlencode "password=PASSWORD" "$page/login"
»file=$(curl -fsS« -b "$cookies"» -F "files=@$photograph" "$page/gradio_api/upload" |
  sed 's/^\\["//; s/"\\]$//')
event=$(curl -fsS« -b "$cookies"» -H "Content-Type: application/json" \\
  -d '{"data":[{"path":"'"$file"'","meta":{"_type":"gradio.FileData"}}]}' \\
  "$page/gradio_api/call/ENDPOINT" | sed 's/.*"event_id": *"//; s/".*//')
curl -fsS« -b "$cookies"» "$page/gradio_api/call/ENDPOINT/$event" |
  awk '/^event: error/; sub(/^data: /, "") && !/^null$/ { gsub(/}, *[{]/, "},\\n{"); print }'
"""

_JAVASCRIPT = """\
const page = "ADDRESS";
«const signedIn = await fetch(page + "/login", {
  method: "POST",
  body: new URLSearchParams({username: "USER", password: "PASSWORD"}),
});
const cookie = signedIn.headers.get("set-cookie").match(/access-token[^=]*=[^;]+/g).join("; ");
»
async function ask(path, headers, body) {
  const method = body ? "POST" : "GET";
  const answer = await fetch(page + path, {method, headers: {...headers«, cookie»}, body});
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

async function classify(photograph) {
  const form = new FormData();
  form.append("files", photograph, "photograph");
  const [path] = await (await ask("/gradio_api/upload", {}, form)).json();
  const body = JSON.stringify({data: [{path, meta: {_type: "gradio.FileData"}}]});
  const call = "/gradio_api/call/ENDPOINT";
  const started = await ask(call, {"Content-Type": "application/json"}, body);
  const {event_id} = await started.json();
  const events = await (await ask(call + "/" + event_id)).text();
  const found = events.match(/event: complete\\ndata: (.*)/);
  if (!found) throw new Error(events);
  return JSON.parse(found[1]);
}

// Node 18 or newer: save as classify.mjs. In a browser, give classify() a chosen File.
const {readFile} = await import("node:fs/promises");
const photograph = new Blob([await readFile("photograph.jpg")]);
const [answer, details] = await classify(photograph);
console.log(answer.label, details.set);
"""

_LANGUAGES = {
    "python": ("Python", "Python 3.10 or newer", _PYTHON),
    "curl": ("curl", "A terminal on Linux or macOS", _CURL),
    "javascript": ("JavaScript", "Node 18 or newer, or a browser", _JAVASCRIPT),
}

_FRAME = """\
<div class="ff-panel ff-call"><h2>Use it from a program</h2>
<div class="ff-languages" role="group" aria-label="Language">{buttons}</div>{blocks}
<p class="ff-text">Replace photograph.jpg with the name of your file. Two values come back: the most
probable classes, <code>{{"label", "confidences": [{{"label", "confidence"}}]}}</code>, and how far
to trust them, <code>{{"top", "set", "none_of_these", "unknown_score", "evidence"}}</code>. The
endpoint <code>/{endpoint}_only</code> also takes a list of classes, and answers only with one of
these. A browser can call it from another site only if the owner of this page starts it with
<code>--allow-origin</code> and that site’s address.
<span class="ff-signed-in" hidden> This page asks for a sign-in: replace USER and PASSWORD with
your name and password. The JavaScript program can sign in only from Node.</span>
<span class="ff-wide">“Use via API” at the bottom of this page opens Gradio’s own
description.</span></p></div>"""

_BUTTON = '<button type="button" data-language="{key}" aria-pressed="{pressed}">{language}</button>'

_BLOCK = """\
<div class="ff-code" data-code="{key}"{hidden}><span class="ff-needs">{needs}</span><button
 type="button" data-copy-from="#call-{endpoint} [data-code={key}] code"
 aria-label="Copy the {language} program">Copy</button><pre tabindex="0" role="region"
 aria-label="{language} program"><code>{code}</code></pre></div>"""


def snippets(endpoint: str) -> Markup:
    """Render the three programs; `static/snippets.js` fills in the address.

    Args:
        endpoint: Name of the endpoint, such as `predict`.

    Returns:
        HTML.
    """
    buttons, blocks = [], []
    for number, (key, (language, needs, code)) in enumerate(_LANGUAGES.items()):
        pressed, hidden = ("false", html(" hidden")) if number else ("true", "")
        buttons.append(html(_BUTTON, key=key, language=language, pressed=pressed))
        space = os.environ.get("SPACE_ID", "") if key == "python" else ""
        filled = _fill(code.replace("ENDPOINT", endpoint), space)
        values = {"key": key, "language": language, "needs": needs, "hidden": hidden}
        values["endpoint"] = endpoint
        blocks.append(html(_BLOCK, **values, code=filled))
    return html(_FRAME, buttons=join(buttons), blocks=join(blocks), endpoint=endpoint)


def _fill(code: str, space: str) -> Markup:
    """Replace the fields by elements that the browser fills in."""
    parts: list[str] = []
    for part in _FIELD.split(code):
        if part.startswith("«"):
            parts.append(html('<span data-signed-in="{text}"></span>', text=part[1:-1]))
        elif part == "ADDRESS":
            parts.append(space or html("<span data-address>ADDRESS</span>"))
        else:
            parts.append(part)
    return join(parts)

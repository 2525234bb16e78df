// The programs of the About tab.
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

element.addEventListener("click", event => {
  const chosen = event.target.closest("[data-language]")?.dataset.language;
  if (!chosen) return;
  for (const button of all("[data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === chosen);
  for (const block of all("[data-code]")) block.hidden = block.dataset.code !== chosen;
});

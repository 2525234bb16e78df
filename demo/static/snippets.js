// The programs of the About tab.
// Characters that are valid in a URL but special in a program's text are encoded.
const address = (location.origin + location.pathname).replace(/\/+$/, "").replace(
  /[^\w\-.~:\/%\[\]]/g, mark => "%" + mark.charCodeAt(0).toString(16).padStart(2, "0"));
const all = selector => [...element.querySelectorAll(selector)];
for (const place of all("[data-address]")) place.textContent = address;

// Gradio answers who has signed in; null if the page needs no sign-in.
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

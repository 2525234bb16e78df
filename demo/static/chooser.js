// The choice of a classifier: the one in the address, or else the first.
const buttons = [...element.querySelectorAll("input")];
const asked = new URL(window.location).searchParams.get("classifier");
const names = buttons.map(button => button.nextElementSibling.textContent);
const first = Math.max(names.indexOf(asked), 0);
buttons[first].checked = true;
if (first) trigger("input");
element.addEventListener("change", () => {
  const address = new URL(window.location);
  address.searchParams.set("classifier", names[buttons.findIndex(button => button.checked)]);
  window.history.replaceState(window.history.state, "", address);
  trigger("input");
});

// Scrolls the photograph of a chosen row into view, and closes it again.
let place = 0;
const placeOf = shown => shown.getBoundingClientRect().top + scrollY;

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
  if (!shown) return;
  place = placeOf(shown);
  shown.scrollIntoView({block: "start"});
  shown.focus({preventScroll: true});
});

// Keeps the photograph in sight while new rows appear in the table above it.
new ResizeObserver(() => {
  const shown = element.querySelector(".ff-detail");
  if (!shown) return;
  const before = place;
  place = placeOf(shown);
  if (before - scrollY < innerHeight) scrollBy({top: place - before, behavior: "instant"});
}).observe(element.closest("[role=tabpanel]") ?? document.body);

// The photograph of a row that was chosen: it is brought into view, and closed again.
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

// Rows that the table above gets meanwhile do not push the photograph out of sight.
new ResizeObserver(() => {
  const shown = element.querySelector(".ff-detail");
  if (!shown) return;
  const before = place;
  place = placeOf(shown);
  if (before - scrollY < innerHeight) scrollBy({top: place - before, behavior: "instant"});
}).observe(element.closest("[role=tabpanel]") ?? document.body);

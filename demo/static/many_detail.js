// The photograph of a row that was chosen: it is brought into view, and closed again.
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

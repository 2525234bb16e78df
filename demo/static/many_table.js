// The table of many photographs: a row is chosen, a page is turned.
let turned = false;

element.addEventListener("click", event => {
  const page = event.target.closest("[data-page]"), row = event.target.closest("[data-row]");
  turned = Boolean(page);
  if (page) trigger("input", {page: Number(page.dataset.page)});
  else if (row) trigger("select", {row: Number(row.dataset.row)});
});

// The button that turned the page is gone, and the keyboard's focus with it.
watch("value", () => {
  if (!turned || document.activeElement !== document.body) return;
  turned = false;
  const first = element.querySelector("[data-row] button, [data-page]");
  element.querySelector("table")?.scrollIntoView({block: "start"});
  first?.focus();
});

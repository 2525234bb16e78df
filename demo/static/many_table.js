// The table of many photographs: reports a chosen row or page.
let turned = false;

element.addEventListener("click", event => {
  const page = event.target.closest("[data-page]"), row = event.target.closest("[data-row]");
  turned = Boolean(page);
  if (page) trigger("input", {page: Number(page.dataset.page)});
  else if (row) trigger("select", {row: Number(row.dataset.row)});
});

// The button that turned the page no longer exists, so the keyboard's focus must be set again.
watch("value", () => {
  if (!turned || document.activeElement !== document.body) return;
  turned = false;
  const first = element.querySelector("[data-row] button, [data-page]");
  element.querySelector("table")?.scrollIntoView({block: "start"});
  first?.focus();
});

// The table of many photographs: a row is chosen, a page is turned.
element.addEventListener("click", event => {
  const page = event.target.closest("[data-page]"), row = event.target.closest("[data-row]");
  if (page) trigger("input", {page: Number(page.dataset.page)});
  else if (row) trigger("select", {row: Number(row.dataset.row)});
});

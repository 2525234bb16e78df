"""The scripts of the Evaluation tab: they report the chosen pair, and move the focus in the grid.

Each script uses only its own `element` or the tab around it, because a page may have several
checkpoints.
"""

PAIRS_SCRIPT = """
element.addEventListener("click", event => {
  const button = event.target.closest("[data-true]");
  if (!button) return;
  const chosen = button.dataset, tab = element.closest("[role=tabpanel]") || element;
  for (const one of tab.querySelectorAll("[data-true]")) {
    const same = one.dataset.true === chosen.true && one.dataset.predicted === chosen.predicted;
    if (same) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  trigger("select", {true: Number(chosen.true), predicted: Number(chosen.predicted)});
});
"""

MATRIX_SCRIPT = (
    PAIRS_SCRIPT
    + """
const steps = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  Home: [0, -Infinity], End: [0, Infinity]};
const stop = cell => cell.querySelector("button") || cell;
const within = (index, least, most) => Math.max(least, Math.min(most, index));
element.addEventListener("mouseover", event => {
  const button = event.target.closest("[data-true]");
  if (button) button.title = button.ariaLabel;
});
element.addEventListener("focusin", event => {
  const cell = event.target.closest("tbody td");
  if (!cell) return;
  for (const one of element.querySelectorAll("tbody [tabindex='0']")) one.tabIndex = -1;
  stop(cell).tabIndex = 0;
});
element.addEventListener("keydown", event => {
  const cell = event.target.closest("tbody td"), step = steps[event.key];
  if (!cell || !step) return;
  event.preventDefault();
  const rows = cell.closest("tbody").rows, row = cell.parentNode;
  const next = rows[within(row.sectionRowIndex + step[0], 0, rows.length - 1)];
  const target = stop(next.cells[within(cell.cellIndex + step[1], 1, next.cells.length - 1)]);
  target.tabIndex = -1;
  target.focus();
});
const edges = () => {
  const box = element.querySelector(".ff-matrix");
  if (!box) return;
  const right = box.scrollWidth - box.clientWidth, below = box.scrollHeight - box.clientHeight;
  box.parentNode.classList.toggle("more-right", box.scrollLeft < right - 1);
  box.parentNode.classList.toggle("more-below", box.scrollTop < below - 1);
  if (right > 1 || below > 1) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
};
element.addEventListener("scroll", edges, true);
const sizes = new ResizeObserver(edges);
for (const one of [element, ...element.querySelectorAll(".ff-matrix, .ff-matrix table")])
  sizes.observe(one);
"""
)

PAIR_SCRIPT = """
watch("value", () => {
  element.querySelector(".ff-pair")?.scrollIntoView({block: "nearest"});
});
"""

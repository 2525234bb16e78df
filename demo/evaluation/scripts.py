"""What the Evaluation tab does in the browser: it tells which pair is chosen, and moves in a grid.

Each script looks at its own `element` only, as a page may hold several checkpoints.
"""

PAIRS_SCRIPT = """
element.addEventListener("click", event => {
  const button = event.target.closest("[data-true]");
  if (!button) return;
  for (const one of element.querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  trigger("select", {
    true: Number(button.dataset.true), predicted: Number(button.dataset.predicted)});
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
"""
)

PAIR_SCRIPT = """
watch("value", () => {
  element.querySelector(".ff-pair")?.scrollIntoView({block: "nearest"});
});
"""

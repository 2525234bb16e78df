(chosen, stored) => {
  // Gradio announces changes while the page starts, too: before the earlier choice is read back, and
  // several times. Only another choice is kept, said, and asked about. KEY is the part's own.
  const now = JSON.stringify(chosen), count = chosen.length;
  if (window.ffPossible?.KEY === undefined || window.ffPossible.KEY === now) {
    return [stored, {__type__: "update"}];
  }
  window.ffPossible.KEY = now;
  // Once Gradio has put the choice in its place, "more" sends it with the photograph on show.
  setTimeout(() => document.dispatchEvent(new Event("ff-possible")));
  const said = count ? ` (${count} chosen)` : "";
  return [chosen, {__type__: "update", label: `Limit the answer to some classes${said}`}];
}

(chosen, stored) => {
  // Gradio also reports changes while the page starts, several times, even before the stored choice
  // is restored. Only a new choice is stored and answered. KEY differs for each part.
  const now = JSON.stringify(chosen), count = chosen.length;
  if (window.ffPossible?.KEY === undefined || window.ffPossible.KEY === now) {
    return [stored, {__type__: "update"}];
  }
  window.ffPossible.KEY = now;
  // Later, when Gradio has set the choice, so that more.js sends it with the shown photograph.
  setTimeout(() => document.dispatchEvent(new Event("ff-possible")));
  const said = count ? ` (${count} chosen)` : "";
  return [chosen, {__type__: "update", label: `Limit the answer to some classes${said}`}];
}

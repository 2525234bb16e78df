(photo, asked) => {
  // The server has refused a question; a message says why. If the question has changed meanwhile,
  // the new one is asked again. If further photographs were refused, the ones already shown stay. A
  // refused first photograph is removed, because the browser may be unable to draw it.
  if (!asked) return [photo, asked];
  const now = JSON.parse(asked), again = (now.again ?? 0) + 1;
  if (asked !== window.ffAsked) return [photo, JSON.stringify({...now, again})];
  if (!now.further.length) return [null, ""];
  const shown = [...document.querySelectorAll("#more [data-remove]")].map(one => one.dataset.remove);
  const further = String(shown) === String(now.further) ? [] : shown;
  return [photo, JSON.stringify({...now, further, again})];
}

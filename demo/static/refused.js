(photo, asked) => {
  // What was asked has been refused, and the message says why. If something else has been asked
  // meanwhile, that is asked again; if further photographs were refused, those that are shown stay;
  // a first photograph that was refused goes, as no browser may be able to draw it.
  if (!asked) return [photo, asked];
  const now = JSON.parse(asked), again = (now.again ?? 0) + 1;
  if (asked !== window.ffAsked) return [photo, JSON.stringify({...now, again})];
  if (!now.further.length) return [null, ""];
  const shown = [...document.querySelectorAll("#more [data-remove]")].map(one => one.dataset.remove);
  const further = String(shown) === String(now.further) ? [] : shown;
  return [photo, JSON.stringify({...now, further, again})];
}

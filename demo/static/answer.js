// On a phone the answer is below the photograph, so it is scrolled into view. Not while the visitor
// limits the classes, because each choice gives a new answer.
watch("value", () => {
  document.dispatchEvent(new Event("ff-answer"));  // recent.js listens for it
  const card = element.querySelector(".ff-result");
  if (!card?.querySelector(".ff-answer") || innerWidth > 640) return;
  if (document.activeElement?.closest("#only")) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  card.scrollIntoView({block: "nearest", behavior: still ? "auto" : "smooth"});
});

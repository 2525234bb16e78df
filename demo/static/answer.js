// The answer's card: where it stands below the photograph, on a phone, it comes into view; but not
// while the visitor chooses what is possible, which is asked about with each class.
watch("value", () => {
  document.dispatchEvent(new Event("ff-answer"));  // for the last answers
  const card = element.querySelector(".ff-result");
  if (!card?.querySelector(".ff-answer") || innerWidth > 640) return;
  if (document.activeElement?.closest("#only")) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  card.scrollIntoView({block: "nearest", behavior: still ? "auto" : "smooth"});
});

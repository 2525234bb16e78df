// The part "Add another photograph of it". Its photographs are those that the server has shown.
const say = text => { element.querySelector("[data-said]").textContent = text; };
const paths = () => [...element.querySelectorAll("[data-remove]")].map(one => one.dataset.remove);
let busy = false;

async function add(files) {
  const room = props.most - paths().length, small = files.filter(one => one.size <= props.max_bytes);
  if (small.length < files.length) {
    return say(`A photograph may have ${props.max_bytes / 1e6} MB at most. Nothing was added.`);
  }
  if (files.length > room) {
    return say(`There is room for ${room} more ${room === 1 ? "photograph" : "photographs"}.`);
  }
  busy = true;
  say("Sending …");
  try {
    const sent = await Promise.all(files.map(async file => (await upload(file)).path));
    say("");
    trigger("submit", {paths: [...paths(), ...sent]});
  } catch (error) {
    say("It could not be sent. Please try again.");
    console.warn(error);
  } finally {
    busy = false;
  }
}

element.addEventListener("click", event => {
  const removed = event.target.closest("[data-remove]");
  if (removed && !busy) {
    trigger("submit", {paths: paths().filter(path => path !== removed.dataset.remove)});
  }
  if (!event.target.closest("[data-add]") || busy) return;
  const input = document.createElement("input");
  Object.assign(input, {type: "file", multiple: true, accept: "image/*,.heic,.heif"});
  input.addEventListener("change", () => add([...input.files]));
  input.click();
});

// Other classes are possible: what is on show is asked again, and what is being answered, after that.
let late = false;
function again() {
  if (element.offsetParent === null) return;  // the part of another classifier
  const ready = element.querySelector("[data-add], [data-remove]") !== null;
  const photographs = [...document.querySelectorAll("#photograph img")];
  late = !ready && photographs.some(one => one.offsetParent !== null);
  if (ready) trigger("submit", {paths: paths()});
}
document.addEventListener("ff-possible", again);
document.addEventListener("ff-answer", () => { if (late) again(); });

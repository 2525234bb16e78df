// The part "Add another photograph of it". The hidden field "#asked" contains the first photograph,
// the further ones, and a number that increases when the same photographs are asked about again.
const say = text => { element.querySelector("[data-said]").textContent = text; };
const field = () => document.querySelector("#asked textarea");
const asked = () => JSON.parse(field()?.value || '{"first": "", "further": []}');
let busy = false;

function ask(further) {
  const now = asked();
  if (!now.first) return;
  field().value = JSON.stringify({first: now.first, further, again: (now.again ?? 0) + 1});
  field().dispatchEvent(new Event("input", {bubbles: true}));
}

async function add(files) {
  const {first, further} = asked(), room = props.most - further.length;
  if (files.some(one => one.size > props.max_bytes)) {
    return say(`A photograph may have at most ${props.max_bytes / 1e6} MB. Nothing was added.`);
  }
  if (files.length > room) {
    return say(`There is room for ${room} more ${room === 1 ? "photograph" : "photographs"}.`);
  }
  busy = true;
  say("Sending …");
  try {
    const sent = await Promise.all(files.map(async file => (await upload(file)).path));
    say("");
    // If the first photograph has changed meanwhile, these belong to another object.
    if (asked().first === first) ask([...asked().further, ...sent]);
  } catch (error) {
    say("It could not be sent. Please try again.");
    console.warn(error);
  } finally {
    busy = false;
  }
}

element.addEventListener("click", event => {
  const removed = event.target.closest("[data-remove]");
  if (removed) ask(asked().further.filter(path => path !== removed.dataset.remove));
  if (!event.target.closest("[data-add]") || busy) return;
  const input = document.createElement("input");
  Object.assign(input, {type: "file", multiple: true, accept: "image/*,.heic,.heif"});
  input.addEventListener("change", () => add([...input.files]));
  input.click();
});

// When the visitor allows other classes, the same photographs are asked about again.
function again() {
  if (!element.isConnected) return document.removeEventListener("ff-possible", again);
  ask(asked().further);
}
document.addEventListener("ff-possible", again);

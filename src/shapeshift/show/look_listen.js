// Linked views, what they answer to: pointer, keys, sliders; and how a page begins.

function listen(look) {
  const safely = act => async e => { try { await act(e); } catch (error) { look.fail(error); } };
  const {root, state} = look, on = (place, event, act) => look.model(place)?.on_event(event, safely(act));
  on("places", "tap", e => look.show(look.nearestPlace(e.x, e.y)));
  on("plane", "tap", async e => look.show(await look.nearestShape(e.x, e.y)));
  for (const place of ["places", "plane", "histogram"]) {
    on(place, "selectiongeometry", e => { if (e.final) return look.selectIn(place, e.geometry); });
    on(place, "doubletap", () => look.select(() => false));
  }
  on("places", "mousemove", e => hover(look, look.nearestPlace(e.x, e.y)));
  on("places", "mouseleave", () => hover(look, -1));
  let pointer = null;  // among the shapes; looked for once a picture, for there may be a million
  on("plane", "mousemove", e => {
    if (!pointer) requestAnimationFrame(safely(async () => {
      const at = pointer;
      pointer = null;
      if (at) await hover(look, await look.nearestShape(at.x, at.y, NEAR));
    }));
    pointer = e;
  });
  on("plane", "mouseleave", () => { pointer = null; return hover(look, -1); });
  const drag = e => {
    const z = [...state.z], axes = look.decoder.axes;
    [e.x, e.y].slice(0, z.length).forEach((v, k) => { z[k] = Math.min(Math.max(v, axes[k][0]), axes[k][axes[k].length - 1]); });
    look.decode({z});
  };
  for (const event of ["tap", "pan", "panstart"]) on("pad", event, drag);
  root.querySelectorAll("[data-latent]").forEach(slider => slider.addEventListener("input", () => {
    const z = [...state.z];
    z[slider.dataset.latent] = slider.valueAsNumber;
    look.decode({z});
  }));
  root.querySelectorAll("[data-pose]").forEach(slider => slider.addEventListener("input", () => {
    slider.nextElementSibling.textContent = number(slider.valueAsNumber, 3);
    look.decode({[slider.dataset.pose]: slider.valueAsNumber});
  }));
  const chosen = (name, act) => root.querySelector(`.${name}`)?.addEventListener("change", safely(e => act(e.target)));
  chosen("colour", box => { state.colour = box.value; return look.recolour(); });
  chosen("kind", box => look.decode({kind: box.selectedIndex}));
  chosen("channel", box => { state.channel = box.selectedIndex; look.decode({}); return look.show(state.current); });
  root.querySelector(".clear").addEventListener("click", () => look.select(() => false));
  root.querySelector(".save").addEventListener("click", safely(() => look.save()));
  root.addEventListener("keydown", e => { if (e.key === "Escape") look.select(() => false); });
  root.querySelector("[data-place=places]").addEventListener("keydown", e => {
    const width = look.isMap ? look.sides[1].length : 0;  // the first row is drawn below, the first column left
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: width, ArrowDown: -width}[e.key];
    const to = state.current + step;
    if (!step || to < 0 || to >= look.n) return;
    e.preventDefault();
    safely(look.show.bind(look))(to);
  });
}

async function hover(look, i) {
  if (i === look.state.hover) return;
  look.state.hover = i;
  await look.mark("hover", i);
  const values = await look.column(look.state.colour);
  look.root.querySelector(".pointed").textContent = i < 0 ? "" : `under the pointer: ${look.named(i)}: ${look.state.colour} ${number(values[i])}`;
}

async function start(root) {
  const read = name => JSON.parse(root.querySelector(`script.${name}`).textContent);
  const data = read("data"), {docs, items} = read("figures");
  Bokeh.set_log_level("error");  // ranges of figures that are still empty
  const views = await Bokeh.embed.embed_items(docs, items);
  const models = new Map();
  for (const model of views[0].roots[0].model.document._all_models.values()) if (model.name) models.set(model.name, model);
  const look = root.look = new Look(root, data, models);
  listen(look);
  await look.recolour();
  const [rows, columns] = [look.sides[0].length, look.isMap ? look.sides[1].length : 1];
  await look.show(Math.floor(rows / 2) * columns + Math.floor(columns / 2));
  if (look.decoder && look.state.current < 0) look.decode({});
  root.dataset.ready = "yes";
}

for (const root of document.querySelectorAll("section.around:not([data-begun])")) {
  root.dataset.begun = "yes";
  start(root).catch(error => { root.querySelector(".told").textContent = `The views cannot be drawn: ${error.message}`; throw error; });
}

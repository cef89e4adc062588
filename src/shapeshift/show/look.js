// Linked views of a fit: map or sequence, shape latents, histogram, signal, decoder.
// One state, told below; every view draws from it. Nothing is fetched unless the page comes from `explore`.

class Look {
  constructor(root, data, models) {
    Object.assign(this, {root, data, models, n: data.n, columns: new Map(), signals: new Map()});
    for (const c of data.columns) this.columns.set(c.name, c);
    this.sides = data.sides.map(s => unpack(s.values));
    this.frame = data.frame.map(s => unpack(s.values));
    this.isMap = this.sides.length === 2;
    this.isImage = this.frame.length === 2;
    this.flags = data.flags.data === undefined ? null : unpack(data.flags);
    this.numbers = data.numbers ? unpack(data.numbers) : null;
    this.length = this.frame.reduce((size, side) => size * side.length, 1);
    this.parts = data.channels.map(c => ({raw: unpack(c.raw), drawn: unpack(c.drawn), aligned: c.aligned && unpack(c.aligned)}));
    this.state = {current: -1, hover: -1, selected: new Uint8Array(this.n), count: 0, colour: data.columns[0].name, channel: 0,
                  z: [], shift: 0, angle: 0, scale: 1, kind: 0};
    if (data.decoder) {
      this.decoder = {axes: data.decoder.axes, values: data.decoder.values.map(unpack)};
      this.state.z = data.decoder.axes.map(() => 0);
    }
  }

  // --- what is where

  model(name) { return this.models.get(name); }

  async column(name) {
    const c = this.columns.get(name);
    if (!c.read) {
      c.read = c.values.data === undefined ? this.fetched(c.values) : Promise.resolve(unpack(c.values));
      c.read.catch(() => { c.read = null; });  // it may be asked for again
    }
    return c.read;
  }

  async fetched(spec) { return decode(spec, await (await this.asked(spec.url)).arrayBuffer()); }

  async asked(url) {
    const answer = await fetch(url, {cache: "no-store"}).catch(() => { throw new Error("the server behind this page has ended"); });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  // the row of a map, or the place in a series, that is nearest to x, y
  nearestPlace(x, y) {
    const nearest = (side, value) => {
      const last = side.length - 1, step = last ? (side[last] - side[0]) / last : 1;
      const at = Math.round((value - side[0]) / step);
      return at < 0 || at > last ? -1 : at;
    };
    if (this.isMap) {
      const [i, j] = [nearest(this.sides[0], y), nearest(this.sides[1], x)];
      return i < 0 || j < 0 ? -1 : i * this.sides[1].length + j;
    }
    const side = this.sides[0];
    let best = -1, least = Infinity;
    for (let i = 0; i < side.length; i++) {
      const d = Math.abs(side[i] - x);
      if (d < least) [best, least] = [i, d];
    }
    return best;
  }

  place(i) {
    const width = this.isMap ? this.sides[1].length : 1;
    return this.isMap ? [this.sides[1][i % width], this.sides[0][Math.floor(i / width)]] : [this.sides[0][i]];
  }

  named(i) {
    const number = this.numbers ? this.numbers[i] : i, at = this.place(i);
    const where = this.isMap ? ` (${this.data.sides[0].name} ${format(at[1])}, ${this.data.sides[1].name} ${format(at[0])})` : "";
    return `${this.isImage ? "image" : "signal"} ${number}${where}`;
  }

  // values, drawn, and aligned of a signal in every channel
  async signal(i) {
    if (this.parts.length) {
      const cut = a => a && a.subarray(i * this.length, (i + 1) * this.length);
      return this.parts.map(p => ({raw: cut(p.raw), drawn: cut(p.drawn), aligned: cut(p.aligned)}));
    }
    if (!this.signals.has(i)) {
      if (this.signals.size > 200) this.signals.delete(this.signals.keys().next().value);
      this.signals.set(i, this.asked(`signal/${i}`).then(async answer => {
        const all = new Float32Array(await answer.arrayBuffer()), kinds = this.isImage ? 3 : 2, size = kinds * this.length;
        return this.data.labels.map((_, k) => {
          const cut = j => all.subarray(k * size + j * this.length, k * size + (j + 1) * this.length);
          return {raw: cut(0), drawn: cut(1), aligned: this.isImage ? cut(2) : null};
        });
      }));
      this.signals.get(i).catch(() => this.signals.delete(i));  // it may be asked for again
    }
    return this.signals.get(i);
  }

  // --- drawing

  set(name, columns) {
    const source = this.model(name);
    if (source) source.data = columns;
  }

  raster(name, values, rows, columns) {
    const source = this.model(name), kind = source.data.image[0].constructor;
    source.data = {...source.data, image: [new kind(values, [rows, columns])]};
  }

  picture(name, values, rows, columns, limits) {
    this.raster(`${name}-image`, values, rows, columns);
    if (limits) Object.assign(this.model(`${name}-colours`), {low: limits[0], high: limits[1]});
  }

  // a map's values with its axes increasing, as pictures have them
  upright(values, made) {
    const [ny, nx] = this.sides.map(s => s.length);
    const [down, across] = this.sides.map(s => s[s.length - 1] < s[0]);
    if (!down && !across) return made.set(values), made;
    for (let i = 0; i < ny; i++) for (let j = 0; j < nx; j++) {
      made[(down ? ny - 1 - i : i) * nx + (across ? nx - 1 - j : j)] = values[i * nx + j];
    }
    return made;
  }

  async recolour() {
    const c = this.columns.get(this.state.colour), values = await this.column(c.name);
    if (this.state.colour !== c.name) return;  // another one was asked for meanwhile
    const limits = c.angle ? [-180, 180] : percentiles(values, 0.005, 0.995);
    for (const place of ["places", "plane"]) {
      const mapper = this.model(`${place}-colours`);
      if (!mapper) continue;
      this.quantity ??= mapper.palette;
      Object.assign(mapper, {palette: c.angle ? this.data.angles : this.quantity, low: limits[0], high: limits[1]});
    }
    if (this.isMap) {
      const [ny, nx] = this.sides.map(s => s.length);
      this.picture("places", this.upright(values, new Float32Array(this.n)), ny, nx);
      this.model("places").title.text = plain(`map of ${c.label}`);
    } else {
      this.model("places").left[0].axis_label = plain(c.label);
      this.model("places").title.text = plain(`${c.label}, in their order`);
      this.cloud("places", this.sides[0], values, null);
    }
    const [x, y] = await this.latents();
    this.model("plane").title.text = plain(`shape latents, coloured by ${c.label}`);
    const words = this.axes().map(name => plain(this.columns.get(name).label));
    [this.model("plane").below[0].axis_label, this.model("plane").left[0].axis_label] = words;
    this.cloud("plane", x, y, values);
    await this.histogram();
    await this.select(null);
    this.mark("here", this.state.current);
  }

  async latents() {
    return Promise.all(this.axes().map(name => this.column(name)));
  }

  // the first two latents; of one alone, against where the pattern is
  axes() {
    const names = [...this.data.latents, ...this.data.columns.map(c => c.name)];
    return [names[0], names.find((name, k) => k && name !== names[0]) ?? names[0]];
  }

  // which rows a cloud of marks shows, of all or of those selected
  some(selected) {
    const total = selected ? this.state.count : this.n, step = Math.max(1, total / this.data.marks), rows = [];
    for (let i = 0, seen = 0, next = 0; i < this.n; i++) {
      if (selected && !this.state.selected[i]) continue;
      if (seen++ >= next) { rows.push(i); next += step; }
    }
    return rows;
  }

  cloud(place, x, y, colours) {
    const rows = this.some(false);
    const columns = {x: rows.map(i => x[i]), y: rows.map(i => y[i]), c: rows.map(i => colours ? colours[i] : 0)};
    this.set(`${place}-points`, columns);
    if (place === "plane") this.set("pad-points", {x: columns.x, y: this.data.latents.length > 1 ? columns.y : columns.x.map(() => 0)});
  }

  async histogram() {
    const c = this.columns.get(this.state.colour), values = await this.column(c.name);
    const [low, high] = percentiles(values, 0.0005, 0.9995), width = (high - low) / BINS || 1;
    const counts = [new Float64Array(BINS), new Float64Array(BINS)];
    for (let i = 0; i < this.n; i++) {
      const bin = Math.floor((values[i] - low) / width);
      if (!(bin >= 0)) continue;
      const at = Math.min(bin, BINS - 1);
      if (values[i] <= high) { counts[0][at]++; if (this.state.selected[i]) counts[1][at]++; }
    }
    const left = Array.from({length: BINS}, (_, k) => low + k * width), right = left.map(v => v + width);
    ["all", "chosen"].forEach((name, k) => this.set(`histogram-${name}`, {left, right, top: Array.from(counts[k])}));
    this.model("histogram").below[0].axis_label = plain(c.label);
  }

  // rings around a signal in every view
  async mark(kind, i) {
    const none = {x: [], y: []};
    if (i < 0) { for (const place of ["places", "plane"]) this.set(`${place}-${kind}`, none); return; }
    const values = await this.column(this.state.colour), [x, y] = await this.latents(), at = this.place(i);
    this.set(`places-${kind}`, {x: [at[0]], y: [this.isMap ? at[1] : values[i]]});
    this.set(`plane-${kind}`, {x: [x[i]], y: [y[i]]});
  }

  // --- what is chosen

  async show(i) {
    if (i < 0) return;
    this.state.current = i;
    const asked = this.signal(i), told = this.describe(i);
    const parts = await asked;
    if (this.state.current !== i) return;  // another one was asked for meanwhile
    await this.mark("here", i);
    this.draw(i, parts[this.state.channel], await this.shiftOf(i), await this.noiseOf(i));
    this.root.querySelector(".told").textContent = await told;
    if (this.decoder) {
      const z = await Promise.all(this.state.z.map(async (_, k) => (await this.column(this.data.latents[k]))[i]));
      await painted();  // the signal first, then what its shape is made of
      if (this.state.current !== i) return;
      this.decode({z});
    }
    this.root.dataset.current = String(this.numbers ? this.numbers[i] : i);
    this.root.dataset.shown = String(i);
  }

  async shiftOf(i) {
    if (!this.columns.has("shift")) return [0, 0];
    const bar = this.columns.has("shift_sd") ? (await this.column("shift_sd"))[i] : 0;
    return [(await this.column("shift"))[i], bar];
  }

  async noiseOf(i) {
    const k = this.state.channel, scale = this.data.noise ? this.data.noise[k] : 1;
    return this.columns.has("noise_sd") ? (await this.column("noise_sd"))[i] * scale : this.data.noise_sd ?? 0;
  }

  async describe(i) {
    const words = [this.named(i)];
    for (const c of this.data.columns) {
      if (c.name.endsWith("_sd") && c.name !== "noise_sd" || c.name === "log_evidence") continue;
      const bar = this.columns.has(`${c.name}_sd`) ? ` \u00b1 ${number((await this.column(`${c.name}_sd`))[i], 2)}` : "";
      const units = /\(([^)]*)\)$/.exec(c.label);
      words.push(`${c.name.replace("_", " ")} ${number((await this.column(c.name))[i])}${bar}${units && units[1] !== "prior sd" ? ` ${units[1]}` : ""}`);
    }
    const flag = this.data.words[(await this.flagged())[i]];
    if (flag) words.push(`flagged ${flag.replaceAll(";", ", ")}`);
    return words.join("; ");
  }

  async flagged() {
    if (!this.flags) this.flags = await this.fetched(this.data.flags);
    return this.flags;
  }

  draw(i, part, [shift, bar], noise) {
    const raw = Array.from(part.raw), drawn = Array.from(part.drawn), left = raw.map((v, k) => v - drawn[k]);
    if (this.isImage) {
      const [rows, columns] = this.frame.map(s => s.length), limits = percentiles(part.raw, 0, 1);
      for (const name of ["raw", "aligned", "drawn"]) this.picture(name, Float32Array.from(part[name]), rows, columns, limits);
      const most = Math.max(...left.map(Math.abs).filter(Number.isFinite), 1e-30);
      this.picture("residual", Float32Array.from(left), rows, columns, [-most, most]);
      return;
    }
    const x = Array.from(this.frame[0]);
    this.set("signal-raw", {x, y: raw});
    this.set("signal-aligned", {x: x.map(v => v - shift), y: raw});
    this.set("signal-drawn", {x, y: drawn});
    this.set("signal-band", {x, low: drawn.map(v => v - noise), high: drawn.map(v => v + noise)});
    this.set("residual-line", {x, y: left});
    this.set("residual-band", {x, low: x.map(() => -noise), high: x.map(() => noise)});
    const all = raw.concat(drawn).filter(Number.isFinite), low = Math.min(...all), high = Math.max(...all), at = this.data.origin + shift;
    const y = [low - 0.08 * (high - low || 1)];
    this.set("signal-shift", this.columns.has("shift") ? {x0: [at - bar], x1: [at + bar], x: [at], y} : {x0: [], x1: [], x: [], y: []});
    this.model("signal").title.text = plain(this.named(i));
    this.model("signal").left[0].axis_label = plain(this.data.labels[this.state.channel].label);
    this.model("residual").left[0].axis_label = plain(residual(this.data.labels[this.state.channel].label));
  }

  // inside: which rows are selected, by number; null draws the selection anew
  async select(inside) {
    const s = this.state;
    if (inside) {
      s.count = 0;
      for (let i = 0; i < this.n; i++) s.count += s.selected[i] = inside(i) ? 1 : 0;
      this.root.dataset.selected = String(s.count);
      this.root.querySelector(".count").textContent = s.count ? `${s.count} of ${this.n} selected` : "none selected";
      this.root.querySelector(".save").disabled = this.root.querySelector(".clear").disabled = !s.count;
      await this.histogram();
    }
    const rows = s.count ? this.some(true) : [], values = await this.column(s.colour), [x, y] = await this.latents();
    this.set("plane-chosen", {x: rows.map(i => x[i]), y: rows.map(i => y[i])});
    if (!this.isMap) return this.set("places-chosen", {x: rows.map(i => this.sides[0][i]), y: rows.map(i => values[i])});
    const [ny, nx] = this.sides.map(side => side.length), mask = new Uint32Array(this.n);
    if (s.count) for (let i = 0; i < this.n; i++) mask[i] = s.selected[i] ? 0 : DIM;
    this.raster("places-mask", this.upright(mask.slice(), mask), ny, nx);
  }

  async selectIn(place, geometry) {
    const inside = holds(geometry), values = await this.column(this.state.colour);
    if (place === "histogram") return this.select(i => values[i] >= Math.min(geometry.x0, geometry.x1) && values[i] <= Math.max(geometry.x0, geometry.x1));
    if (place === "plane") {
      const [x, y] = await this.latents();
      return this.select(i => inside(x[i], y[i]));
    }
    return this.select(i => { const at = this.place(i); return inside(at[0], this.isMap ? at[1] : values[i]); });
  }

  // within: how far away it may be, as a part of what is in sight
  async nearestShape(x, y, within = Infinity) {
    const [zx, zy] = await this.latents(), {x_range, y_range} = this.model("plane");
    const [sx, sy] = [x_range.end - x_range.start || 1, y_range.end - y_range.start || 1];
    let best = -1, least = within ** 2;
    for (let i = 0; i < this.n; i++) {
      const d = ((zx[i] - x) / sx) ** 2 + ((zy[i] - y) / sy) ** 2;
      if (d < least) [best, least] = [i, d];
    }
    return best;
  }

  // --- the decoder

  decode(change) {
    const s = Object.assign(this.state, change), d = this.decoder;
    if (!d) return;
    s.z.forEach((value, k) => {
      const slider = this.root.querySelector(`[data-latent="${k}"]`);
      if (slider) { slider.value = value; slider.nextElementSibling.textContent = number(value, 3); }
    });
    this.set("pad-here", {x: [s.z[0]], y: [s.z.length > 1 ? s.z[1] : 0]});
    const values = d.values[s.channel], size = d.axes.reduce((n, axis) => n * axis.length, 1), out = new Float32Array(this.length);
    for (const [at, weight] of corners(d.axes, s.z)) {
      const from = (s.kind * size + at) * this.length;
      for (let k = 0; k < this.length; k++) out[k] += weight * values[from + k];
    }
    this.drawDecoded(out);
    this.sharpen();
  }

  // where a server stands behind the page, the decoder itself soon takes the place of the interpolation
  sharpen() {
    if (!this.data.served) return;
    clearTimeout(this.waiting);
    const s = this.state, asked = [...s.z];
    this.waiting = setTimeout(async () => {
      const chosen = s.kind, kind = this.data.decoder.classes[chosen] ?? "";
      const answer = await this.asked(`decoded?z=${asked.join(",")}&kind=${encodeURIComponent(kind)}`).catch(error => this.fail(error));
      if (!answer) return;
      const all = new Float32Array(await answer.arrayBuffer());
      if (s.kind === chosen && asked.every((v, k) => v === s.z[k])) this.drawDecoded(all.subarray(s.channel * this.length, (s.channel + 1) * this.length), true);
    }, 60);
  }

  drawDecoded(values, exact = false) {
    const s = this.state;
    this.root.dataset.decoded = exact ? "exact" : "interpolated";
    if (this.isImage) {
      const [rows, columns] = this.frame.map(side => side.length);
      this.picture("decoded", posed(Float32Array.from(values), rows, columns, s.angle, s.scale), rows, columns, percentiles(values, 0, 1));
      return;
    }
    this.set("decoded-line", {x: Array.from(this.frame[0], v => v + s.shift), y: Array.from(values)});
    this.model("decoded").left[0].axis_label = plain(this.data.labels[s.channel].label);
  }

  fail(error) { this.root.querySelector(".told").textContent = `This cannot be shown: ${error.message}.`; }

  // --- the table

  async table() {
    const sides = this.isMap ? this.data.sides.map(side => side.name) : [];
    const columns = await Promise.all(this.data.columns.map(c => this.column(c.name))), flags = await this.flagged();
    const head = [this.isImage ? "image" : "signal", ...sides, ...this.data.columns.map(c => c.name), "flags"];
    const lines = [head.map(quoted).join(",")];
    for (let i = 0; i < this.n; i++) {
      if (!this.state.selected[i]) continue;
      const at = this.isMap ? this.place(i).reverse() : [];
      lines.push([this.numbers ? this.numbers[i] : i, ...at.map(format), ...columns.map(c => format(c[i])), quoted(this.data.words[flags[i]])].join(","));
    }
    return lines.join("\n") + "\n";
  }

  async save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await this.table()], {type: "text/csv"}));
    link.download = "selection.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

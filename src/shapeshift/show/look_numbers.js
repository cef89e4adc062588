// Linked views, the arithmetic: arrays from their words, limits of colours, what a box holds, interpolation.
"use strict";

const BINS = 60;
const NEAR = 0.03;       // of the plane of shapes: how near a mark the pointer must come
const SAMPLE = 20000;    // values that limits of colours are told from
const DIM = 0xb4ffffff;  // of what is not selected: white, seen through
const KINDS = {float32: Float32Array, int16: Int16Array, int32: Int32Array, uint8: Uint8Array};

function unpack(spec) {
  if (spec.size !== undefined) return Float64Array.from({length: spec.size}, (_, k) => spec.first + k * spec.step);
  const text = atob(spec.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return decode(spec, bytes.buffer);
}

function decode(spec, buffer) {
  const codes = new KINDS[spec.dtype](buffer);
  if (spec.step === undefined) return codes;
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) values[i] = codes[i] === -32768 ? NaN : codes[i] * spec.step + spec.offset;
  return values;
}

function number(value, digits = 4) {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)).toString().replace("-", "\u2212") : "nan";
}

function percentiles(values, low, high) {
  const some = [], step = Math.max(1, Math.floor(values.length / SAMPLE));
  for (let i = 0; i < values.length; i += step) if (Number.isFinite(values[i])) some.push(values[i]);
  if (!some.length) return [0, 1];
  some.sort((a, b) => a - b);
  const at = share => some[Math.round(share * (some.length - 1))];
  return at(low) < at(high) ? [at(low), at(high)] : [at(low) - 0.5, at(low) + 0.5];
}

function inPolygon(xs, ys, x, y) {
  let inside = false;
  for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) {
    if ((ys[i] > y) !== (ys[j] > y) && x < (xs[j] - xs[i]) * (y - ys[i]) / (ys[j] - ys[i]) + xs[i]) inside = !inside;
  }
  return inside;
}

// whether a point lies in what a tool has drawn around
function holds(geometry) {
  if (geometry.type === "poly") return (x, y) => inPolygon(geometry.x, geometry.y, x, y);
  const {x0, x1, y0, y1} = geometry;
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
  const [low, high] = [Math.min(y0, y1), Math.max(y0, y1)];
  return (x, y) => x >= left && x <= right && y >= low && y <= high;
}

// the weights of the corners of the cell of a grid in which a point lies: multilinear interpolation
function corners(axes, point) {
  let found = [[0, 1]];
  axes.forEach((axis, k) => {
    const last = axis.length - 1;
    const u = Math.min(Math.max((point[k] - axis[0]) / (axis[last] - axis[0]) * last, 0), last);
    const i = Math.min(Math.floor(u), last - 1), share = u - i;
    found = found.flatMap(([at, w]) => [[at * axis.length + i, w * (1 - share)], [at * axis.length + i + 1, w * share]]);
  });
  return found.filter(([, weight]) => weight > 0);
}

// an image turned (degrees, counter-clockwise) and scaled about its middle, read by bilinear interpolation
function posed(values, rows, columns, angle, scale) {
  if (angle === 0 && scale === 1) return values;
  const out = new Float32Array(values.length).fill(NaN), a = angle * Math.PI / 180;
  const [c, s, ym, xm] = [Math.cos(a) / scale, Math.sin(a) / scale, (rows - 1) / 2, (columns - 1) / 2];
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
    const y = s * (j - xm) + c * (i - ym) + ym, x = c * (j - xm) - s * (i - ym) + xm;
    const y0 = Math.floor(y), x0 = Math.floor(x), v = y - y0, u = x - x0;
    if (y0 < 0 || x0 < 0 || y0 + (v > 0) >= rows || x0 + (u > 0) >= columns) continue;
    const at = (dy, dx) => values[Math.min(y0 + dy, rows - 1) * columns + Math.min(x0 + dx, columns - 1)];
    out[i * columns + j] = (1 - v) * ((1 - u) * at(0, 0) + u * at(0, 1)) + v * ((1 - u) * at(1, 0) + u * at(1, 1));
  }
  return out;
}

// what is left over has the units of the signal
function residual(label) {
  const units = /\([^)]*\)$/.exec(label);
  return units ? `residual ${units[0]}` : "residual";
}

// as many digits as 32 bits hold
function format(value) { return Number.isFinite(value) ? String(Number(value.toPrecision(8))) : ""; }

// when what was drawn has been seen; in a window that is hidden, soon
function painted() {
  return new Promise(done => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 200); });
}

function quoted(word) {
  const text = /^[=+\-@\t]/.test(word) ? `'${word}` : word;  // no spreadsheet takes it for a formula
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// text that Bokeh takes for text: no TeX, for which it would fetch a library
function plain(text) { return text.replaceAll("\\$", "$").replace(/[$](?=[$])/g, "$$ ").replace(/\\([[(])/g, "$1"); }

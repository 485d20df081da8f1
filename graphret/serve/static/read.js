// The reading view: query and hit side by side; zoom and pan are linked, window and level are those of each film.
import { call, film, json } from './service.js';

const dialog = document.getElementById('reader');
const tool = (name) => dialog.querySelector(`[data-read="${name}"]`);
const panes = ['query', 'hit'].map((name) => ({
  name, canvas: document.getElementById(`pane-${name}`), caption: document.getElementById(`caption-${name}`),
  film: null, low: 0, high: 65535, drawn: null, stale: true, map: null,
}));
const view = { zoom: 1, x: 0, y: 0, invert: false, flip: false, window: false, map: false };
let shown = null;
let turn = 0;

export function openReader(given) {
  shown = given;
  Object.assign(view, { zoom: 1, x: 0, y: 0, invert: false, flip: false, window: false, map: false });
  if (!dialog.open) dialog.showModal();
  load(panes[0], shown.query, shown.query ? `Query: ${shown.query.name}` : 'The query has no film: it was made of a code or of examples.');
  go(0);
  panes[1].canvas.focus();
}

function go(step) {
  shown.place = (shown.place + step + shown.hits.length) % shown.hits.length;
  const hit = shown.hits[shown.place];
  load(panes[1], { index: shown.index, id: hit.id }, `Hit ${shown.place + 1} of ${shown.hits.length}: ${hit.id}. ${hit.labels || 'no positive label'}`);
  document.getElementById('reader-why').textContent = `Similarity ${hit.similarity}. Why: ${hit.words}.`;
  for (const pane of panes) pane.map = null;
  if (view.map) similarity();
}

async function load(pane, what, caption) {
  pane.caption.textContent = caption;
  pane.film = null;
  pane.asked = what;
  if (what) {
    const { name, ...values } = what;
    try {
      const answer = await call('GET', film('pixels', values));
      const data = new Uint16Array(await answer.arrayBuffer());
      if (pane.asked !== what) return;
      const [width, height] = ['Width', 'Height'].map((side) => Number(answer.headers.get(`X-Film-${side}`)));
      Object.assign(pane, { film: { width, height, data }, range: rangeOf(data) });
      [pane.low, pane.high] = pane.range;
    } catch (error) {
      if (pane.asked !== what) return;
      pane.caption.textContent = `${caption}. No picture: ${error.message}`;
    }
  }
  pane.stale = true;
  draw();
}

function rangeOf(data) {
  let [low, high] = [65535, 0];
  for (const value of data) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, Math.max(high, low + 1)];
}

// --- drawing --------------------------------------------------------------------------------------------------------

function draw() {
  cancelAnimationFrame(turn);
  turn = requestAnimationFrame(() => { for (const pane of panes) paint(pane); say(); });
}

function toGrey(pane) {
  const { width, height, data } = pane.film;
  pane.drawn ??= document.createElement('canvas');
  Object.assign(pane.drawn, { width, height });
  const table = new Uint8ClampedArray(65536);
  const scale = 255 / (pane.high - pane.low);
  for (let value = 0; value < 65536; value += 1) {
    const grey = (value - pane.low) * scale;
    table[value] = view.invert ? 255 - grey : grey;
  }
  const context = pane.drawn.getContext('2d');
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let place = 0; place < data.length; place += 1) pixels[place] = 0xff000000 | (table[data[place]] * 0x010101);
  context.putImageData(picture, 0, 0);
  pane.stale = false;
}

function paint(pane) {
  const { canvas } = pane;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  if (!pane.film) return;
  if (pane.stale) toGrey(pane);
  const fit = Math.min(width / pane.film.width, height / pane.film.height) * view.zoom;
  const [drawnWidth, drawnHeight] = [pane.film.width * fit, pane.film.height * fit];
  context.save();
  context.translate(width / 2 + view.x * width, height / 2 + view.y * height);
  if (view.flip) context.scale(-1, 1);
  context.imageSmoothingEnabled = fit < 4;
  context.drawImage(pane.drawn, -drawnWidth / 2, -drawnHeight / 2, drawnWidth, drawnHeight);
  if (view.map && pane.map) {
    context.imageSmoothingEnabled = true;
    context.drawImage(pane.map, -drawnWidth / 2, -drawnHeight / 2, drawnWidth, drawnHeight);
  }
  context.restore();
}

function say() {
  const windows = panes.filter((pane) => pane.film).map(({ name, low, high }) => `${name} ${Math.round((low + high) / 2)} / ${Math.round(high - low)}`);
  document.getElementById('reader-state').textContent =
    `Zoom ${view.zoom.toFixed(2)}. Level / window: ${windows.join(', ') || 'none'}.${view.note ? ` ${view.note}` : ''}`;
  for (const name of ['invert', 'flip', 'map', 'window']) tool(name).setAttribute('aria-pressed', String(view[name]));
  dialog.dataset.zoom = view.zoom.toFixed(3);
}

// --- why similar: how much each place of both films adds to their similarity -----------------------------------------

async function similarity() {
  view.note = '';
  const hit = shown.hits[shown.place];
  if (!shown.query) { view.note = 'No map: the query has no film.'; draw(); return; }
  try {
    const { name, id, upload } = shown.query;
    const values = { index: shown.index, hit: hit.id, ...(upload ? { upload } : { id }) };
    const maps = await json('GET', `/api/v1/similarity-map?${new URLSearchParams(values)}`);
    if (hit !== shown.hits[shown.place]) return;
    panes[0].map = overlay(maps.query);
    panes[1].map = overlay(maps.hit);
    view.note = maps.meaning;
  } catch (error) {
    view.note = `No map: ${error.message}`;
  }
  draw();
}

function overlay({ width, height, values }) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  const picture = context.createImageData(width, height);
  values.forEach((value, place) => picture.data.set([255, 40, 0, 170 * value], 4 * place));
  context.putImageData(picture, 0, 0);
  return canvas;
}

// --- what a user does -----------------------------------------------------------------------------------------------

function zoom(factor) {
  const after = Math.min(40, Math.max(0.2, view.zoom * factor));
  view.x *= after / view.zoom;
  view.y *= after / view.zoom;
  view.zoom = after;
}

function toWindow(pane, level, width) {
  const middle = (pane.low + pane.high) / 2 + level;
  const half = Math.max(0.5, ((pane.high - pane.low) / 2) * width);
  [pane.low, pane.high, pane.stale] = [middle - half, middle + half, true];
}

function reset() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  for (const pane of panes) if (pane.film) [[pane.low, pane.high], pane.stale] = [pane.range, true];
}

const does = {
  previous: () => go(-1),
  next: () => go(1),
  invert: () => { view.invert = !view.invert; for (const pane of panes) pane.stale = true; },
  flip: () => { view.flip = !view.flip; },
  window: () => { view.window = !view.window; },
  map: () => { view.map = !view.map; view.note = ''; if (view.map) similarity(); },
  reset,
  close: () => dialog.close(),
};
const both = (level, width) => () => { for (const pane of panes) if (pane.film) toWindow(pane, level * (pane.high - pane.low), width); };
const move = (x, y) => () => { view.x += x; view.y += y; };
const keys = {
  n: does.next, p: does.previous, i: does.invert, f: does.flip, w: does.window, m: does.map, 0: reset,
  '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8),
  '[': both(0, 0.8), ']': both(0, 1.25), ',': both(-0.1, 1), '.': both(0.1, 1),
  ArrowLeft: move(-0.05, 0), ArrowRight: move(0.05, 0), ArrowUp: move(0, -0.05), ArrowDown: move(0, 0.05),
};

dialog.addEventListener('click', (event) => {
  const button = event.target.closest('[data-read]');
  if (!button) return;
  does[button.dataset.read]();
  draw();
});
dialog.addEventListener('keydown', (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!keys[key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[key]();
  draw();
});
for (const pane of panes) {
  const { canvas } = pane;
  let held = null;
  canvas.addEventListener('pointerdown', (event) => {
    held = { x: event.clientX, y: event.clientY, window: view.window || event.button === 2 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!held) return;
    const [x, y] = [(event.clientX - held.x) / canvas.clientWidth, (event.clientY - held.y) / canvas.clientHeight];
    Object.assign(held, { x: event.clientX, y: event.clientY });
    if (held.window && pane.film) toWindow(pane, -y * (pane.range[1] - pane.range[0]), 2 ** (2 * x));
    else if (!held.window) move(x, y)();
    draw();
  });
  for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(2 ** (-event.deltaY / 400));
    draw();
  }, { passive: false });
}
window.addEventListener('resize', () => { if (dialog.open) draw(); });

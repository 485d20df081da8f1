// The archive map: every film a point; colours, communities, a film's neighbours, and a region that grows.
import { call, element, film, json } from './service.js';
import { Points } from './points.js';

const at = (id) => document.getElementById(id);
const { index } = at('map').dataset;
const SHOWN_COMMUNITIES = 24;
const SHOWN_COLOURS = 20;
const GROWN = 40;
let points = null;
let places = null;
let about = null;
let chosen = null;
let growing = 0;

// Twenty hues that differ, then again in another lightness.
function hue(number) {
  const colour = new Option().style;
  colour.color = `hsl(${(number * 137.5) % 360} ${number % 40 < 20 ? 75 : 45}% ${number % 40 < 20 ? 62 : 74}%)`;
  return colour.color.match(/\d+(\.\d+)?/g).slice(0, 3).map(Number);
}

function shade(share) {
  return [60 + 190 * share, 90 + 110 * share * (1 - share) * 2, 235 - 190 * share];
}

function say(text) { at('map-state').textContent = text; }

async function colour() {
  const found = await json('GET', `/api/v1/map/colours?${new URLSearchParams({ index, by: at('colour').value })}`);
  const n = places.length / 2;
  const colours = new Uint8Array(4 * n);
  const legend = at('legend');
  legend.replaceChildren();
  const entry = (rgb, text) => {
    const line = element('li', text);
    const swatch = element('span', '', { class: 'swatch' });
    swatch.style.background = `rgb(${rgb.map(Math.round).join(' ')})`;
    line.prepend(swatch);
    legend.append(line);
  };
  if (found.numbers) {
    const span = found.high - found.low || 1;
    found.numbers.forEach((value, place) => colours.set(value === null ? [120, 120, 120, 120] : [...shade((value - found.low) / span), 220], 4 * place));
    for (const share of [0, 0.5, 1]) entry(shade(share), String(Number((found.low + share * span).toFixed(2))));
  } else {
    const isLabel = at('colour').value.startsWith('label:');
    const palette = found.names.map((_, number) => (isLabel ? [[255, 196, 61], [72, 92, 110], [190, 120, 220]][number] : hue(number)));
    found.of_films.forEach((number, place) => colours.set([...palette[number], isLabel && number === 1 ? 120 : 225], 4 * place));
    const counts = new Map();
    for (const number of found.of_films) counts.set(number, (counts.get(number) ?? 0) + 1);
    const largest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, SHOWN_COLOURS);
    const names = at('colour').value === 'community' ? found.names.map((name, number) => summaryOf(number)?.name ?? name) : found.names;
    for (const [number, count] of largest) entry(palette[number], `${names[number]} (${count})`);
    if (counts.size > SHOWN_COLOURS) legend.append(element('li', `and ${counts.size - SHOWN_COLOURS} more`));
  }
  points.fill('films', places, colours);
}

// A community whose films have all gone has a number, and no summary.
function summaryOf(number) { return about.communities.find((summary) => summary.community === number); }

function placeOf(position) { return [places[2 * position], places[2 * position + 1]]; }

function mark(positions, edges = []) {
  points.fill('chosen', new Float32Array(positions.flatMap(placeOf)), new Uint8Array(positions.flatMap((_, step) => (step ? [255, 255, 255, 255] : [255, 60, 60, 255]))));
  points.fill('lines', new Float32Array(edges.flatMap(([from, to]) => [...placeOf(from), ...placeOf(to)])), new Uint8Array(edges.flatMap(() => [255, 255, 255, 140, 255, 255, 255, 140])));
}

function nearest([x, y]) {
  let [best, distance] = [-1, Infinity];
  for (let place = 0; place < places.length; place += 2) {
    const away = (places[place] - x) ** 2 + (places[place + 1] - y) ** 2;
    if (away < distance) [best, distance] = [place / 2, away];
  }
  return best;
}

async function choose(position) {
  growing += 1;
  try {
    chosen = await json('GET', `/api/v1/map/film?${new URLSearchParams({ index, position, generation: about.generation })}`);
  } catch (error) {
    say(error.message);
    return;
  }
  at('chosen').hidden = false;
  at('chosen-id').textContent = chosen.id;
  at('chosen-picture').src = film('picture', { index, id: chosen.id, placeholder: 'true' });
  const facts = Object.entries(chosen.facts).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value}`);
  const summary = summaryOf(chosen.community);
  at('chosen-facts').textContent = [chosen.labels.join(', ') || 'no positive label', ...facts, `${summary.name}, ${chosen.community_films} films`].join('; ');
  at('grown').replaceChildren();
  mark([position]);
}

async function neighbors() {
  growing += 1;
  const found = await json('GET', film('neighbors', { index, id: chosen.id, k: 50 }));
  const line = (one) => element('li', `${one.id}: weight ${one.weight.toFixed(3)}, ${one.labels.join(', ') || 'no positive label'}`);
  at('grown').replaceChildren(...found.neighbors.map(line));
  mark([chosen.position, ...found.neighbors.map((one) => one.position)], found.neighbors.map((one) => [chosen.position, one.position]));
}

async function grow() {
  const turn = (growing += 1);
  const { id, position } = chosen;
  const found = await json('POST', '/api/v1/query', { index, id, k: GROWN, ranking: 'region_growing', fill: false });
  at('grown').replaceChildren();
  const positions = new Map([[id, position], ...found.hits.map((hit) => [hit.id, hit.position])]);
  const edges = [];
  const reached = [position];
  const pace = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 180;
  for (const hit of found.hits) {
    if (turn !== growing) return;
    reached.push(hit.position);
    if (hit.why.query_edge) edges.push([position, hit.position]);
    for (const edge of hit.why.earlier) edges.push([positions.get(edge.id), hit.position]);
    at('grown').append(element('li', `${hit.id}: gain ${hit.why.gain === null ? '-' : hit.why.gain.toPrecision(3)}, ${hit.labels.join(', ') || 'no positive label'}`));
    mark(reached, edges);
    await new Promise((done) => { setTimeout(done, pace); });
  }
}

function show(summary) {
  const communities = colourOf.community;
  let [left, right, low, high] = [1, 0, 1, 0];
  communities.forEach((number, place) => {
    if (number !== summary.community) return;
    const [x, y] = placeOf(place);
    [left, right, low, high] = [Math.min(left, x), Math.max(right, x), Math.min(low, y), Math.max(high, y)];
  });
  Object.assign(points.view, { x: (left + right) / 2, y: (low + high) / 2, zoom: Math.min(60, 0.8 / Math.max(right - left, high - low, 0.01)) });
  choose(summary.medoid);
}

const colourOf = {};

async function start() {
  try {
    points = new Points(at('points'));
    about = await json('GET', `/api/v1/map?${new URLSearchParams({ index })}`);
    const answer = await call('GET', `/api/v1/map/places?${new URLSearchParams({ index })}`);
    places = new Float32Array(await answer.arrayBuffer());
    colourOf.community = (await json('GET', `/api/v1/map/colours?${new URLSearchParams({ index })}`)).of_films;
    await colour();
  } catch (error) {
    say(`The map cannot be shown: ${error.message}`);
    return;
  }
  const largest = [...about.communities].sort((a, b) => b.size - a.size).slice(0, SHOWN_COMMUNITIES);
  at('communities').replaceChildren(...largest.map((summary) => {
    const purity = summary.purity === null ? '' : `, purity ${(100 * summary.purity).toFixed(0)} %`;
    const findings = summary.findings.slice(0, 3).map(({ name, lift }) => `${name} x${lift.toFixed(1)}`).join(', ');
    const button = element('button', '', { type: 'button' });
    button.append(
      element('img', '', { alt: '', loading: 'lazy', src: film('picture', { index, id: summary.medoid_id, placeholder: 'true' }) }),
      element('span', `${summary.name}: ${summary.size} films${purity}${findings ? `. ${findings}` : ''}`),
    );
    button.addEventListener('click', () => show(summary));
    const line = element('li');
    line.append(button);
    return line;
  }));
  say(`${about.communities.length} communities, ${about.generation}`);
}

at('colour').addEventListener('change', () => colour().catch((error) => say(error.message)));
at('fit').addEventListener('click', () => { Object.assign(points.view, { x: 0.5, y: 0.5, zoom: 1 }); points.draw(); });
at('show-neighbors').addEventListener('click', () => neighbors().catch((error) => say(error.message)));
at('grow').addEventListener('click', () => grow().catch((error) => say(error.message)));

const canvas = at('points');
let held = null;
canvas.addEventListener('pointerdown', (event) => {
  held = { x: event.clientX, y: event.clientY, far: 0 };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  if (!held || !places) return;
  const [x, y] = [event.clientX - held.x, event.clientY - held.y];
  held = { x: event.clientX, y: event.clientY, far: held.far + Math.abs(x) + Math.abs(y) };
  points.move(x, y);
});
canvas.addEventListener('pointerup', (event) => {
  if (held && held.far < 5 && places) choose(nearest(points.placeOf(event)));
  held = null;
});
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (places) points.zoom(2 ** (-event.deltaY / 300), points.placeOf(event));
}, { passive: false });
const keys = {
  '+': () => points.zoom(1.4), '=': () => points.zoom(1.4), '-': () => points.zoom(1 / 1.4),
  ArrowLeft: () => points.move(40, 0), ArrowRight: () => points.move(-40, 0), ArrowUp: () => points.move(0, 40), ArrowDown: () => points.move(0, -40),
};
canvas.addEventListener('keydown', (event) => {
  if (!keys[event.key] || !places) return;
  event.preventDefault();
  keys[event.key]();
});
window.addEventListener('resize', () => points?.draw());
start();

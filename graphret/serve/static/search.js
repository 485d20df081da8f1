// The search page: send a film, mark a region of it, gather examples, read hits, mark them.
import { call, element, film, json } from './service.js';
import { openReader } from './read.js';

const at = (id) => document.getElementById(id);
const form = at('ask');
const results = at('results');

// Before htmx has read the form, the browser would send it itself: a page without an answer, the film's id in its address.
document.addEventListener('DOMContentLoaded', () => { at('go').disabled = false; });

// --- the query film -------------------------------------------------------------------------------------------------

async function send(file) {
  const body = new FormData();
  body.append('film', file);
  say('sending the film', false);
  try {
    const kept = await json('POST', '/api/v1/uploads', body);
    at('upload').value = kept.upload;
    at('id').value = '';
    show(film('picture', { upload: kept.upload }), 'The film that was sent');
    say('', false);
  } catch (error) {
    say(`This film cannot be used: ${error.message}`, true);
  }
}

function say(text, bad) {
  at('sent').hidden = !text;
  at('sent').classList.toggle('problem', bad);
  at('sent').textContent = text;
}

function show(address, words) {
  at('preview').src = address;
  at('preview').alt = words;
  at('shown').hidden = false;
  whole();
}

function clear() {
  at('upload').value = '';
  at('film').value = '';
  at('shown').hidden = true;
  at('preview').removeAttribute('src');
  whole();
}

at('film').addEventListener('change', () => { if (at('film').files.length) send(at('film').files[0]); });
at('clear').addEventListener('click', () => { at('id').value = ''; clear(); });
// The picture comes when the typing pauses, not when the field is left: the next click would miss what it moves.
let pause = 0;
at('id').addEventListener('input', () => {
  const id = at('id').value.trim();
  clear();
  clearTimeout(pause);
  const picture = () => show(film('picture', { id, placeholder: 'true', ...chosenIndex() }), `The film ${id}`);
  if (id) pause = setTimeout(picture, 500);
});

function chosenIndex() {
  const chosen = form.querySelector('input[name="index"]:checked');
  return chosen ? { index: chosen.value } : {};
}

const drop = at('drop');
for (const name of ['dragover', 'drop', 'dragleave']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragover');
    if (name === 'drop' && event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
}

// --- a region of interest -------------------------------------------------------------------------------------------

let corner = null;

function whole() {
  at('crop').value = '';
  at('box').hidden = true;
  at('whole').hidden = true;
}

function share(event) {
  const frame = at('preview').getBoundingClientRect();
  const inside = (value) => Math.min(1, Math.max(0, value));
  return [inside((event.clientX - frame.left) / frame.width), inside((event.clientY - frame.top) / frame.height)];
}

at('region').addEventListener('pointerdown', (event) => {
  corner = share(event);
  at('region').setPointerCapture(event.pointerId);
});
at('region').addEventListener('pointermove', (event) => {
  if (!corner) return;
  const here = share(event);
  const [left, right] = [Math.min(corner[0], here[0]), Math.max(corner[0], here[0])];
  const [top, bottom] = [Math.min(corner[1], here[1]), Math.max(corner[1], here[1])];
  Object.assign(at('box').style, {
    left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%`,
  });
  const large = right - left > 0.03 && bottom - top > 0.03;
  at('box').hidden = at('whole').hidden = !large;
  at('crop').value = large ? [left, top, right, bottom].map((value) => value.toFixed(4)).join(',') : '';
});
for (const name of ['pointerup', 'pointercancel']) at('region').addEventListener(name, () => { corner = null; });
at('whole').addEventListener('click', whole);

// --- examples -------------------------------------------------------------------------------------------------------

function addExample(id, field) {
  const other = field === 'positive' ? 'negative' : 'positive';
  for (const name of [field, other]) {
    for (const entry of form.querySelectorAll(`input[name="${name}"]`)) {
      if (entry.value === `id:${id}`) entry.closest('li').remove();
    }
  }
  const entry = element('li', field === 'positive' ? `like ${id} ` : `not like ${id} `);
  entry.append(element('input', '', { type: 'hidden', name: field, value: `id:${id}` }));
  const remove = element('button', 'remove', { type: 'button', class: 'small', 'aria-label': `Remove the example ${id}` });
  remove.addEventListener('click', () => { entry.remove(); count(); });
  entry.append(remove);
  at(`${field}s`).append(entry);
  count();
}

function count() {
  at('examples').hidden = !form.querySelector('input[name="positive"], input[name="negative"]');
}

// --- hits -----------------------------------------------------------------------------------------------------------

function queryOf(answer) {
  const { index, query, askedId, askedUpload } = answer.dataset;
  const what = askedUpload ? { upload: askedUpload } : askedId ? { id: askedId, index } : null;
  return { what, name: query, index };
}

function read(hit) {
  const answer = hit.closest('.answer');
  const hits = [...answer.querySelectorAll('.film')];
  const { what, name, index } = queryOf(answer);
  openReader({
    index,
    query: what && { ...what, name },
    hits: hits.map(({ dataset }) => ({ id: dataset.id, words: dataset.why, labels: dataset.labels, similarity: dataset.similarity })),
    place: hits.indexOf(hit),
  });
}

async function mark(hit, button) {
  const answer = hit.closest('.answer');
  const off = button.getAttribute('aria-pressed') === 'true';
  const { name, index } = queryOf(answer);
  const relevance = off ? null : button.dataset.do === 'relevant' ? 1 : 0;
  try {
    await call('PUT', '/api/v1/lists/marks', { index, query: name, film: hit.dataset.id, relevance });
    for (const other of hit.querySelectorAll('.mark')) other.setAttribute('aria-pressed', String(other === button && !off));
  } catch (error) {
    hit.querySelector('.acts').after(element('p', `The mark is not kept: ${error.message}`, { class: 'problem', role: 'alert' }));
  }
}

results.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button.dataset.pick !== undefined) {
    at('id').value = button.dataset.pick;
    at('id').dispatchEvent(new Event('input'));
    form.requestSubmit();
    return;
  }
  const hit = button.closest('.film');
  if (!hit) return;
  if (button.dataset.do === 'read') read(hit);
  else if (button.dataset.do === 'more') addExample(hit.dataset.id, 'positive');
  else if (button.dataset.do === 'less') addExample(hit.dataset.id, 'negative');
  else if (button.classList.contains('mark')) mark(hit, button);
});

// The page of lists: notes are kept when they change, lists are removed on demand.
import { call } from './service.js';

const said = document.getElementById('said');

document.addEventListener('change', async (event) => {
  if (event.target.dataset.note === undefined) return;
  const { index, query, film, relevance } = event.target.closest('tr').dataset;
  const name = event.target.closest('[data-list]').dataset.list;
  const body = { index, query, film, relevance: relevance === '' ? null : Number(relevance), note: event.target.value };
  try {
    await call('PUT', `/api/v1/lists/${encodeURIComponent(name)}`, body);
    said.textContent = '';
  } catch (error) {
    said.textContent = `The note is not kept: ${error.message}`;
  }
});

document.addEventListener('click', async (event) => {
  const name = event.target.dataset?.remove;
  if (name === undefined || !window.confirm(`Remove the list ${name} with all of its marks?`)) return;
  try {
    await call('DELETE', `/api/v1/lists/${encodeURIComponent(name)}`);
    window.location.reload();
  } catch (error) {
    said.textContent = `The list is not removed: ${error.message}`;
  }
});

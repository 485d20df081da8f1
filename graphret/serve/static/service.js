// What all pages share: requests to the service, with the word that says they come from this page.
const word = document.querySelector('meta[name="csrf"]').content;

export async function call(method, address, body) {
  const options = { method, headers: { 'X-CSRF-Token': word } };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  const answer = await fetch(address, options);
  if (!answer.ok) {
    let message = `the service answered ${answer.status}`;
    try { message = (await answer.json()).error.message; } catch { /* no JSON: the status says it */ }
    throw new Error(message);
  }
  return answer;
}

export async function json(method, address, body) {
  return (await call(method, address, body)).json();
}

export function film(kind, values) {
  return `/api/v1/film${kind ? `/${kind}` : ''}?${new URLSearchParams(values)}`;
}

export function element(name, text, values = {}) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  return made;
}

// The server's interface: one function for each request, errors as the server words them.

export class ApiError extends Error {
  constructor(message, status = 0, line = 0, column = 0) {
    super(message);
    Object.assign(this, { status, line, column });
  }
}

const KEY = "bgkit-key";
let askForKey = async () => null;

/** Set what asks the user for a key and returns it. */
export function onKey(ask) {
  askForKey = ask;
}

const wait = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Fetch a path of this server; asks for a key on 401 and waits its turn on 429. */
export async function request(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    const key = sessionStorage.getItem(KEY);
    if (key) headers["X-Api-Key"] = key;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server does not answer. Is it running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 429) {
      await wait(Number(answer.headers.get("Retry-After")) || 1, options.signal);
      continue;
    }
    if (answer.status === 401) {
      const given = await askForKey(Boolean(key));
      if (given) {
        sessionStorage.setItem(KEY, given);
        continue;
      }
    }
    const result = await answer.json().catch(() => ({}));
    throw new ApiError(result.detail || `The server answers ${answer.status}.`, answer.status, result.line, result.column);
  }
}

export const get = async (path) => (await request(path)).json();

/** Check a pipeline's YAML; returns its row as in /v1/pipelines. */
export const check = async (yaml, signal) =>
  (await request("/v1/check", { method: "POST", body: yaml, headers: { "Content-Type": "text/plain" }, signal })).json();

/** Remove a background. `parts` maps fields to texts or blobs; returns what the server tells, layers as blobs. */
export async function remove(parts, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (value instanceof Blob) form.append(name, value, "upload");
    else if (value !== undefined && value !== "") form.append(name, String(value));
  }
  const headers = { Accept: "application/json" };
  const result = await (await request("/v1/remove", { method: "POST", body: form, headers, signal })).json();
  for (const layer of Object.values(result.layers)) {
    layer.blob = new Blob([bytes(layer.base64)], { type: layer.type });
    delete layer.base64;
  }
  return result;
}

function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Call `each` with every message of a stream of server-sent events after number `last`; returns when it ends.
 * By fetch and not by EventSource, which cannot send a key. */
export async function events(path, each, last = 0) {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": String(last) };
  const reader = (await request(path, { headers })).body
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split(/\r?\n/);
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
      const data = field("data").join("\n");
      if (data) each(field("event")[0] || "message", JSON.parse(data));
    }
  }
}

// The server's interface: one function for each request, errors as the server words them.

class ApiError extends Error {
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

const TRIES = 3; // of a request whose connection breaks
let sayAway = () => {};
let back = null; // a promise while the server does not answer

/** Set what is called with true when the server does not answer, and with false when it is back. */
export function onAway(say) {
  sayAway = say;
}

/** Wait until the server answers; for any number of requests at once. */
function whenBack() {
  back ??= (async () => {
    for (let away = false; ; away = true) {
      const there = await fetch("/health", { cache: "no-store" }).catch(() => null);
      if (there || !away) sayAway(!there);
      if (there) break;
      await wait(1);
    }
    back = null;
  })();
  return back;
}

const wait = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Fetch a path of this server and `read` its answer; asks for a key on 401, waits its turn on 429, and waits for a server that went away. */
export async function request(path, options = {}, read = (answer) => answer.json()) {
  for (let broken = 0; ; ) {
    const headers = { ...options.headers };
    const key = sessionStorage.getItem(KEY);
    if (key) headers["X-Api-Key"] = key;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
      if (answer.ok) return await read(answer);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (++broken === TRIES) throw new ApiError("The server ends the connection before it answers.");
      await whenBack();
      continue;
    }
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

export const get = (path) => request(path);

/** Check a pipeline's YAML; returns its row as in /v1/pipelines. */
export const check = (yaml) => request("/v1/check", { method: "POST", body: yaml, headers: { "Content-Type": "text/plain" } });

/** Remove a background. `parts` maps fields to texts or blobs; returns what the server tells, layers as blobs. */
export async function remove(parts, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (value instanceof Blob) form.append(name, value, "upload");
    else if (value !== undefined && value !== "") form.append(name, String(value));
  }
  const headers = { Accept: "application/json" };
  const result = await request("/v1/remove", { method: "POST", body: form, headers, signal });
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
  const stream = await request(path, { headers }, (answer) => answer.body);
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
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

/** One door to the HTTP API: JSON in, JSON out, the CSRF header, and errors as {@link ApiError}. */

const PREFIX = "/api/v1";

/** An answer of the box that is not a success. `status` 0: it could not be reached; `key`: of which parameter. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly key: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
/** Values that are empty are left out. */
export type Query = object;
/** `unwanted`: nobody waits for the answer any more. */
interface Options {
  query?: Query;
  body?: unknown;
  unwanted?: AbortSignal;
}

let csrf = "";
let onLoggedOut: () => void = () => undefined;
let onFactorDue: () => void = () => undefined;
let boxClockAhead_ms = 0;

/** Sets the token that every state-changing request carries. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** Registers what happens when the box says that nobody is logged in any more. */
export function whenLoggedOut(listener: () => void): void {
  onLoggedOut = listener;
}

/** Registers what happens when the box wants a second factor to be set up before anything else. */
export function whenFactorDue(listener: () => void): void {
  onFactorDue = listener;
}

/** The box's wall clock in Unix ms, as far as its `Date` header tells; small differences are not worth a jump. */
export function boxNow_ms(): number {
  return Date.now() + boxClockAhead_ms;
}

function noteClock(response: Response): void {
  const date_ms = Date.parse(response.headers.get("Date") ?? "");
  if (Number.isNaN(date_ms)) return;
  const ahead_ms = date_ms + 500 - Date.now();
  boxClockAhead_ms = Math.abs(ahead_ms) < 2000 ? 0 : ahead_ms;
}

/** The address of an API resource with its query. */
export function apiUrl(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return PREFIX + path + (text ? `?${text}` : "");
}

/** What the box says of a request that failed. */
export async function failure(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error?: { code?: string; message?: string; key?: string } };
    return new ApiError(response.status, error?.code ?? "unknown", error?.message ?? response.statusText, error?.key);
  } catch {
    return new ApiError(response.status, "unknown", response.statusText);
  }
}

/** A box that says nothing for so long is away: a network that swallows packets never answers. */
const ANSWER_LIMIT_MS = 20_000;

/** Ends with the first of these; `release` forgets them. `AbortSignal.any` is unknown to browsers that are in use. */
function endingWith(ends: AbortSignal[]) {
  const asking = new AbortController();
  const stop = () => asking.abort();
  for (const end of ends) {
    if (end.aborted) stop();
    end.addEventListener("abort", stop);
  }
  const release = () => {
    for (const end of ends) end.removeEventListener("abort", stop);
  };
  return { signal: asking.signal, release };
}

/**
 * Asks the API. Throws {@link ApiError}. Outside log-in and password change, a 401 also ends the session here, there
 * `not_logged_in` does, and so does a CSRF value that is not the session's: somebody has logged in anew in another tab.
 */
export async function request<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const { signal, release } = endingWith(options.unwanted ? [limit, options.unwanted] : [limit]);
  try {
    return await send<T>(method, path, options, signal);
  } finally {
    release();
  }
}

async function send<T>(method: Method, path: string, options: Options, signal: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-Tapdeck-CSRF"] = csrf;
  const sentAs = csrf;
  let response: Response;
  try {
    response = await fetch(apiUrl(path, options.query), {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      credentials: "same-origin",
      cache: "no-store",
      signal,
    });
  } catch {
    throw new ApiError(0, "away", "The box cannot be reached");
  }
  noteClock(response);
  if (!response.ok) {
    const error = await failure(response);
    // What the session before was told says nothing of this one.
    const ended = (error.status === 401 || error.code === "csrf") && sentAs === csrf;
    if (ended && (!path.startsWith("/session") || (path !== "/session" && error.code === "not_logged_in")))
      onLoggedOut();
    if (error.code === "second_factor_setup_required") onFactorDue();
    throw error;
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Sends a file as the body, telling the part (0 to 1) that has left. Throws {@link ApiError}. */
export function upload<T>(path: string, query: Query, file: Blob, onPart: (part: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", apiUrl(path, query));
    sending.setRequestHeader("Accept", "application/json");
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.setRequestHeader("X-Tapdeck-CSRF", csrf);
    sending.upload.onprogress = (event) => event.lengthComputable && onPart(event.loaded / event.total);
    sending.onerror = () => reject(new ApiError(0, "away", "The box cannot be reached"));
    sending.onload = async () => {
      const answer = new Response(sending.responseText, { status: sending.status });
      if (answer.ok) return resolve((await answer.json()) as T);
      const error = await failure(answer);
      if (error.status === 401 || error.code === "csrf") onLoggedOut();
      reject(error);
    };
    sending.send(file);
  });
}

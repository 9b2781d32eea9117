// The service's HTTP calls. Types come from its OpenAPI document, so a change there that breaks the page breaks the build.
import type { components, paths } from "./openapi";
import { session, signOut } from "./session";

export type Schemas = components["schemas"];

/** The body of a successful response to GET path. */
export type Got<Path extends keyof paths> = paths[Path] extends { get: { responses: { 200: { content: { "application/json": infer Body } } } } } ? Body : never;

export type Job = Schemas["Job"];
export type State = Job["status"];
export type Fault = { location?: string; message: string; value?: unknown };

export const isFinished = (state: State): boolean => state === "SUCCEEDED" || state === "FAILED" || state === "CANCELLED";

/** A failure that the service reports (RFC 9457), or a failure to reach it. */
export class Problem extends Error {
	constructor(
		readonly status: number,
		readonly code: string,
		readonly title: string,
		detail: string,
		readonly faults: Fault[] = [],
		readonly requestId = "",
		readonly retryAfter = 0, // seconds
	) {
		super(detail);
	}
}

/** Status 0 stands for no response at all. */
const unreachable = (): Problem =>
	new Problem(0, "unreachable", "No answer", "The service is unreachable. Check your network connection; the page retries where it can.");

function problemFrom(status: number, requestId: string, retryAfter: string | null, text: string): Problem {
	try {
		const p = JSON.parse(text) as { code?: string; title?: string; detail?: string; errors?: Fault[] };
		if (p.detail) return new Problem(status, p.code ?? "", p.title ?? "", p.detail, p.errors, requestId, Number(retryAfter) || 0);
	} catch {
		// Proxies in front of the service answer in formats of their own.
	}
	return new Problem(status, "", "Unexpected answer", `The service answered with status ${status} and no explanation. Try again; if it persists, contact the operator.`, [], requestId, Number(retryAfter) || 0);
}

type Credentials = { kind: "tenant" | "admin"; key: string };

function authorise(headers: Headers, as: Credentials | null): void {
	if (as?.kind === "tenant") headers.set("Authorization", `Bearer ${as.key}`);
	if (as?.kind === "admin") headers.set("X-Admin-Key", as.key);
}

export type Request = {
	method?: string;
	json?: unknown;
	/** The body as it is, in place of json. */
	text?: string;
	headers?: Record<string, string>;
	signal?: AbortSignal;
	/** Used in place of the session's, to check a key. */
	as?: Credentials;
};

/** Sends a request and returns the response; throws a Problem for anything but success. */
export async function send(path: string, request: Request = {}): Promise<Response> {
	const headers = new Headers(request.headers);
	const body = request.json === undefined ? request.text : JSON.stringify(request.json);
	if (request.json !== undefined) headers.set("Content-Type", "application/json");
	authorise(headers, request.as ?? session.value);
	const answer = await arrived(fetch(path, { method: request.method ?? "GET", headers, body, signal: request.signal }), request);
	if (answer.ok) return answer;
	const problem = problemFrom(answer.status, answer.headers.get("X-Request-Id") ?? "", answer.headers.get("Retry-After"), await arrived(answer.text(), request));
	if (answer.status === 401 && !request.as) signOut(`You were signed out: ${problem.message}`);
	throw problem;
}

/** Awaits data from the network; throws a Problem if the connection fails. */
async function arrived<T>(coming: Promise<T>, { signal }: Request): Promise<T> {
	try {
		return await coming;
	} catch (error) {
		if (signal?.aborted) throw error;
		throw unreachable();
	}
}

export async function call<Body>(path: string, request: Request = {}): Promise<Body> {
	const answer = await send(path, request);
	return arrived(answer.json() as Promise<Body>, request);
}

export const get = <Path extends keyof paths>(path: string, signal?: AbortSignal): Promise<Got<Path>> => call<Got<Path>>(path, { signal });

/**
 * Uploads a form and reports progress. fetch cannot do that, hence XMLHttpRequest.
 */
export function upload<Body>(path: string, form: FormData, headers: Record<string, string>, progress: (share: number) => void, signal: AbortSignal): Promise<Body> {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		request.open("POST", path);
		const all = new Headers(headers);
		authorise(all, session.value);
		all.forEach((value, name) => request.setRequestHeader(name, value));
		request.upload.onprogress = (e) => e.lengthComputable && progress(e.loaded / e.total);
		request.onerror = () => reject(unreachable());
		request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
		request.onload = () => {
			if (request.status >= 200 && request.status < 300) {
				resolve(JSON.parse(request.responseText) as Body);
				return;
			}
			reject(problemFrom(request.status, request.getResponseHeader("X-Request-Id") ?? "", request.getResponseHeader("Retry-After"), request.responseText));
		};
		signal.addEventListener("abort", () => request.abort());
		request.send(form);
	});
}

/** An idempotency key. */
export const randomKey = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

/** Saves to disk what only a request with a key can fetch. */
export async function download(path: string, name: string, signal?: AbortSignal): Promise<void> {
	const answer = await send(path, { signal });
	const content = await arrived(answer.blob(), { signal });
	const link = document.createElement("a");
	link.href = URL.createObjectURL(content);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // long after the browser has started reading it
}

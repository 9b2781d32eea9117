// Server-sent events over fetch, because EventSource cannot send a key. Like EventSource, it reconnects by itself.
import { Problem, send } from "./api";

type ServerEvent = { id: string; kind: string; data: string };

/** Parses a stream into events, however it is cut into chunks. */
export class EventParser {
	private rest = "";
	private event = { id: "", kind: "message", data: [] as string[] };

	*push(text: string): Generator<ServerEvent> {
		const lines = (this.rest + text).split("\n");
		this.rest = lines.pop() ?? "";
		for (const raw of lines) {
			const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
			if (line === "") {
				if (this.event.data.length > 0) yield { id: this.event.id, kind: this.event.kind, data: this.event.data.join("\n") };
				this.event = { id: "", kind: "message", data: [] };
				continue;
			}
			const colon = line.indexOf(":");
			const field = colon < 0 ? line : line.slice(0, colon);
			const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
			if (field === "id") this.event.id = value;
			if (field === "event") this.event.kind = value;
			if (field === "data") this.event.data.push(value);
		}
	}
}

const firstPause = 500; // milliseconds
const longestPause = 15_000;

/**
 * Follows the stream at path until take returns true, for the last event, or signal aborts. A connection that ends or
 * breaks earlier is resumed after the last event that had an id.
 */
export async function follow(path: string, take: (event: ServerEvent) => boolean, connected: (yes: boolean) => void, signal: AbortSignal): Promise<void> {
	let last = "";
	let pause = firstPause;
	while (!signal.aborted) {
		try {
			const answer = await send(path, { headers: { Accept: "text/event-stream;version=2", ...(last && { "Last-Event-ID": last }) }, signal });
			connected(true);
			const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
			const parser = new EventParser();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) break;
				pause = firstPause;
				for (const event of parser.push(value)) {
					if (event.id) last = event.id;
					if (take(event)) {
						void reader.cancel();
						return;
					}
				}
			}
		} catch (error) {
			if (signal.aborted) return;
			if (error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
			connected(false);
		}
		await new Promise((resolve) => setTimeout(resolve, pause));
		pause = Math.min(pause * 2, longestPause);
	}
}

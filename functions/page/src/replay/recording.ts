// A job's recording: its index, and those of its segments that are needed, fetched ahead of the clock.
import { type Got, Problem } from "../api";
import { Broken, type Event, eventsOf, type Segment, sizeOf } from "./segment";

export type Answer = Got<"/jobs/{id}/replay">;
export type Index = Omit<Answer, "events"> & { events: Event[] };
type Part = Index["segments"][number];
export type VehicleType = Index["types"][string];

/** Two frames around a time, and how far between them it is, from 0 to 1. */
export type Moment = {
	segment: Segment;
	frame: number;
	share: number;
	/** The segment with the next frame, if it begins there: at its first. */
	then: Segment | undefined;
};

export type Fault = { part: Part; reason: string; passing: boolean };

/** All segments in memory together: some 5 million positions. */
const room = 160 << 20;
const atOnce = 3;
const furthest = 8; // segments ahead of the clock
const again = 2000; // ms until a segment is asked for again after a failure of the network

export const keyOf = (v: { id: string; person: boolean }): string => (v.person ? "p" : "v") + v.id;

export class Recording {
	index: Index | undefined;
	private taken: Answer | undefined;
	private loaded = new Map<number, Segment>(); // by place in index.segments, the latest used last
	private under = new Set<number>();
	private failed = new Map<number, { reason: string; passing: boolean; at: number }>();
	private bridges = new WeakMap<Segment, { to: Segment; next: Int32Array }>();

	constructor(
		private readonly fetchPart: (attempt: string, n: number) => Promise<ArrayBuffer>,
		private readonly decode: (bytes: ArrayBuffer) => Promise<Segment>,
		private readonly changed: () => void,
		private readonly outdated: () => void,
	) {}

	/** Takes the latest index. Another attempt starts over. */
	take(index: Answer): void {
		if (this.taken === index) return;
		this.taken = index;
		if (this.index?.attempt !== index.attempt) {
			this.loaded.clear();
			this.failed.clear();
			this.under.clear();
		}
		this.index = { ...index, events: eventsOf(index.events) };
	}

	/** The place of the segment that answers for a time: the last that begins by then. */
	placeAt(time: number): number {
		const parts = this.index?.segments ?? [];
		let low = 0;
		let high = parts.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (parts[middle]!.begin <= time) low = middle + 1;
			else high = middle;
		}
		return Math.max(0, low - 1);
	}

	/** Fetches what is shown at a time, and then up to `ahead` seconds more. */
	need(time: number, ahead: number): void {
		const parts = this.index?.segments ?? [];
		const first = this.placeAt(time);
		for (let place = first; place < parts.length && place < first + furthest; place++) {
			if (place > first + 1 && parts[place]!.begin > time + ahead) break;
			if (this.under.size >= atOnce) return;
			void this.load(place).catch(() => undefined); // it is in failed
			// What is to be shown now does not share the way with what is ahead.
			if (place === first && this.under.has(place)) return;
		}
	}

	async load(place: number): Promise<Segment | undefined> {
		const index = this.index;
		const part = index?.segments[place];
		const have = this.loaded.get(place);
		if (have) {
			this.loaded.delete(place);
			this.loaded.set(place, have);
			return have;
		}
		const failed = this.failed.get(place);
		if (!index || !part || this.under.has(place) || (failed && !(failed.passing && performance.now() > failed.at + again))) return undefined;
		this.under.add(place);
		const current = () => this.index?.attempt === index.attempt;
		try {
			const segment = await this.decode(await this.fetchPart(index.attempt, part.n));
			if (!current()) return undefined;
			this.loaded.set(place, segment);
			this.failed.delete(place);
			this.forget(place);
			return segment;
		} catch (error) {
			if (!current()) return undefined;
			if (!(error instanceof Broken) && !(error instanceof Problem)) throw error;
			if (error instanceof Problem && error.status === 404) this.outdated();
			this.failed.set(place, { reason: error.message, passing: error instanceof Problem, at: performance.now() });
			return undefined;
		} finally {
			if (current()) {
				this.under.delete(place);
				this.changed();
			}
		}
	}

	/** Gives up the segments that were used least lately. */
	private forget(but: number): void {
		let size = 0;
		for (const s of this.loaded.values()) size += sizeOf(s);
		for (const [place, s] of this.loaded) {
			if (size <= room) return;
			if (place === but) continue;
			this.loaded.delete(place);
			size -= sizeOf(s);
		}
	}

	/** Why a time cannot be shown, if the segment there cannot be read. */
	faultAt(time: number): Fault | undefined {
		const place = this.placeAt(time);
		const failed = this.failed.get(place);
		const part = this.index?.segments[place];
		return failed && part && { part, reason: failed.reason, passing: failed.passing };
	}

	/** Whether nothing more has to arrive before a time can be shown. */
	ready(time: number): boolean {
		const parts = this.index?.segments ?? [];
		if (parts.length === 0) return true;
		const place = this.placeAt(time);
		const has = (p: number) => this.loaded.has(p) || this.failed.get(p)?.passing === false;
		return has(place) && (time <= parts[place]!.end || place + 1 >= parts.length || has(place + 1));
	}

	at(time: number): Moment | undefined {
		const parts = this.index?.segments ?? [];
		const place = this.placeAt(time);
		const segment = this.loaded.get(place);
		if (!segment || segment.times.length === 0) return undefined;
		const { times } = segment;
		let low = 0;
		let high = times.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (times[middle]! <= time) low = middle + 1;
			else high = middle;
		}
		const frame = Math.max(0, low - 1);
		const then = frame === times.length - 1 ? this.loaded.get(place + 1) : undefined;
		const until = then?.times[0] ?? times[frame + 1];
		const from = times[frame]!;
		if (place + 1 < parts.length && frame === times.length - 1 && !then) return { segment, frame, share: 0, then };
		return { segment, frame, then, share: until !== undefined && until > from ? Math.max(0, Math.min(1, (time - from) / (until - from))) : 0 };
	}

	/** The segments in memory that have something between two times, in order. */
	between(begin: number, end: number): Segment[] {
		const out: Segment[] = [];
		for (let place = this.placeAt(begin); place < (this.index?.segments.length ?? 0) && this.index!.segments[place]!.begin <= end; place++) {
			const s = this.loaded.get(place);
			if (s) out.push(s);
		}
		return out;
	}

	/** For each position of a segment's last frame, where the same vehicle is in the first frame of another, or -1. */
	bridge(from: Segment, to: Segment): Int32Array {
		const known = this.bridges.get(from);
		if (known?.to === to) return known.next;
		const there = new Map<string, number>();
		for (let i = 0; i < (to.starts[1] ?? 0); i++) there.set(keyOf(to.vehicles[to.who[i]!]!), i);
		const [a = 0, b = 0] = from.starts.slice(-2);
		const next = Int32Array.from({ length: b - a }, (_, k) => there.get(keyOf(from.vehicles[from.who[a + k]!]!)) ?? -1);
		this.bridges.set(from, { to, next });
		return next;
	}

	/** Where a vehicle is in a moment's frame: a position of its segment. */
	find({ segment, frame }: Moment, key: string): number | undefined {
		for (let i = segment.starts[frame]!; i < segment.starts[frame + 1]!; i++) {
			const v = segment.vehicles[segment.who[i]!]!;
			if (key.endsWith(v.id) && keyOf(v) === key) return i;
		}
		return undefined;
	}

	/** The first time from a time on, or else before it, at which a vehicle with this id is there, with its key. */
	async search(id: string, from: number, signal: AbortSignal): Promise<{ time: number; key: string } | undefined> {
		const start = this.placeAt(from);
		const count = this.index?.segments.length ?? 0;
		for (let k = 0; k < count && !signal.aborted; k++) {
			const place = (start + k) % count;
			let s = await this.load(place);
			while (!s && this.under.has(place) && !signal.aborted) {
				await new Promise((resolve) => setTimeout(resolve, 20));
				s = this.loaded.get(place);
			}
			if (!s) continue;
			const who = new Set(s.vehicles.flatMap((v, n) => (v.id === id ? [n] : [])));
			if (who.size === 0) continue;
			const places = [...s.who.keys()].filter((i) => who.has(s.who[i]!));
			const frames = places.map((i) => ({ i, time: s.times[frameOf(s, i)]! }));
			const found = frames.find((f) => k > 0 || f.time >= from) ?? frames[0];
			if (found) return { time: found.time, key: keyOf(s.vehicles[s.who[found.i]!]!) };
		}
		return undefined;
	}
}

/** The frame that has a position. */
function frameOf(s: Segment, i: number): number {
	let f = 0;
	while (s.starts[f + 1]! <= i) f++;
	return f;
}

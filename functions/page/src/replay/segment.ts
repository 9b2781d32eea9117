// Reads a segment of a recording: docs/replay-format.md describes its bytes. Whatever they hold, reading ends with a
// Segment or with a Broken, in bounded memory.

const magic = [0x53, 0x4b, 0x38, 0x52, 1]; // "SK8R" and the version

// The recorder ends a segment at about 300,000 positions. A single step of a simulation may have more.
const maxPositions = 4_000_000;
const maxUnpacked = 128 << 20; // bytes
const maxFrames = 100_000;

/** A segment that cannot be read, with the reason as a sentence. */
export class Broken extends Error {}

export type Vehicle = { id: string; type: string; waiting: number; person: boolean };
export type Event = { time: number; kind: string; vehicle?: string; edge?: string; lane?: string; x?: number | null; y?: number | null; text: string };
/** ids and their states at the first frame; each change is a time in ms, a signal's number, and its new state. */
export type Signals = { ids: string[]; states: string[]; changes: [ms: number, signal: number, state: string][] };

export type Segment = {
	times: Float64Array; // of the frames, simulated seconds
	vehicles: Vehicle[];
	lanes: string[];
	signals: Signals;
	events: Event[];
	/** Frame f has the positions starts[f] up to starts[f + 1]. */
	starts: Uint32Array;
	/** Of each position: its number in vehicles; x and y in metres, from the network's origin; degrees clockwise from
	 * north; m/s; seconds of standing; its number in lanes plus 1, or 0 for none. */
	who: Uint32Array;
	x: Float64Array;
	y: Float64Array;
	angle: Int16Array;
	speed: Float32Array;
	waiting: Float32Array;
	lane: Uint32Array;
	/** Where the same vehicle is in the next frame, or -1. */
	next: Int32Array;
};

export const buffersOf = (s: Segment): ArrayBuffer[] => [s.times, s.starts, s.who, s.x, s.y, s.angle, s.speed, s.waiting, s.lane, s.next].map((a) => a.buffer as ArrayBuffer);

/** Bytes of a segment's numbers, which are nearly all of it. */
export const sizeOf = (s: Segment): number => buffersOf(s).reduce((sum, b) => sum + b.byteLength, 0);

// Predictions use integers for sine and cosine, so that every reader computes the same.
const whole = 32768;
const table = (of: (radians: number) => number) => Float64Array.from({ length: 360 }, (_, a) => {
	const v = of((a * Math.PI) / 180) * whole;
	return Math.sign(v) * Math.round(Math.abs(v));
});
const sines = table(Math.sin);
const cosines = table(Math.cos);

/** Speed is in 0.1 m/s, places in 0.1 m, and time in ms. */
const predicted = (before: number, speed: number, dt: number, share: number): number => before + Math.floor((speed * dt * share) / (1000 * whole) + 0.5);

/** Varints as Go's encoding/binary writes them, up to 2^53. */
class Column {
	constructor(
		private readonly bytes: Uint8Array,
		private readonly name: string,
		private at = 0,
	) {}

	get done(): boolean {
		return this.at === this.bytes.length;
	}

	next(): number {
		const { bytes } = this;
		const first = bytes[this.at];
		if (first !== undefined && first < 128) { // most are
			this.at++;
			return first;
		}
		let value = 0;
		let factor = 1;
		for (;;) {
			if (this.at >= bytes.length) throw new Broken(`the column ${this.name} ends early`);
			const b = bytes[this.at++]!;
			value += (b & 127) * factor;
			if (b < 128) break;
			factor *= 128;
			if (factor > 2 ** 49) throw new Broken(`the column ${this.name} has a number of more than 53 bits`);
		}
		return value;
	}

	signed(): number {
		const v = this.next();
		if (v < 2 ** 31) return (v >>> 1) ^ -(v & 1);
		return v % 2 === 0 ? v / 2 : -(v + 1) / 2;
	}

	/** The next bytes, after their number. */
	part(name: string): Uint8Array {
		const length = this.next();
		if (length > this.bytes.length - this.at) throw new Broken(`the column ${name} is cut off`);
		return this.bytes.subarray(this.at, (this.at += length));
	}
}

async function unpack(packed: Uint8Array): Promise<Uint8Array> {
	if (typeof DecompressionStream === "undefined") throw new Broken("this browser is too old to read it: it lacks DecompressionStream");
	const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
	const reader = stream.getReader();
	const parts: Uint8Array[] = [];
	let length = 0;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			parts.push(value);
			length += value.length;
			if (length > maxUnpacked) throw new Broken(`it unpacks to more than ${maxUnpacked >> 20} MiB`);
		}
	} catch (error) {
		void reader.cancel().catch(() => undefined);
		throw error instanceof Broken ? error : new Broken("it is damaged, or was cut off");
	}
	const all = new Uint8Array(length);
	let at = 0;
	for (const p of parts) {
		all.set(p, at);
		at += p.length;
	}
	return all;
}

const isRecord = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);
const isFinite = (v: unknown): v is number => typeof v === "number" && Number.isFinite(v);
const textOf = (v: unknown): string => (typeof v === "string" ? v : "");
const listOf = (v: unknown): unknown[] => (Array.isArray(v) ? v : []);
const textsOf = (v: unknown): string[] => listOf(v).map(textOf);

export function eventsOf(list: unknown): Event[] {
	const optional = (v: unknown) => (typeof v === "string" && v !== "" ? v : undefined);
	return listOf(list)
		.filter(isRecord)
		.filter((e) => isFinite(e.time))
		.map((e) => ({
			time: e.time as number, kind: textOf(e.kind), vehicle: optional(e.vehicle), edge: optional(e.edge), lane: optional(e.lane),
			x: isFinite(e.x) ? e.x : null, y: isFinite(e.y) ? e.y : null, text: textOf(e.text),
		}));
}

type Header = { times: number[]; origin: [number, number]; vehicles: Vehicle[]; lanes: string[]; signals: Signals; events: Event[]; columns: string[] };

function headerOf(bytes: Uint8Array): Header {
	let h: unknown;
	try {
		h = JSON.parse(new TextDecoder().decode(bytes));
	} catch {
		throw new Broken("its header is not JSON");
	}
	if (!isRecord(h)) throw new Broken("its header is not an object");
	const times = listOf(h.times);
	if (times.length > maxFrames) throw new Broken(`it has more than ${maxFrames} frames`);
	if (!times.every((t, i) => isFinite(t) && (i === 0 || t >= (times[i - 1] as number)))) throw new Broken("its times do not ascend");
	const [x, y] = listOf(h.origin);
	if (!isFinite(x) || !isFinite(y)) throw new Broken("it has no origin");
	const signals = isRecord(h.signals) ? h.signals : {};
	const [ids, states] = [textsOf(signals.ids), textsOf(signals.states)];
	if (ids.length !== states.length) throw new Broken("its signals lack states");
	const changes = listOf(signals.changes).map((c): Signals["changes"][number] => {
		const [ms, n, state] = listOf(c);
		if (!isFinite(ms) || !isFinite(n) || !(n in ids) || typeof state !== "string") throw new Broken("a signal changes that it does not list");
		return [ms, n, state];
	});
	return {
		times: times as number[], origin: [x, y], lanes: textsOf(h.lanes), columns: textsOf(h.columns),
		vehicles: listOf(h.vehicles).map((v) => {
			if (!isRecord(v)) throw new Broken("its list of vehicles is damaged");
			return { id: textOf(v.id), type: textOf(v.type), waiting: isFinite(v.waiting) ? v.waiting : 0, person: v.person === true };
		}),
		signals: { ids, states, changes },
		events: eventsOf(h.events),
	};
}

/** Arrays that grow, since only the members of all frames say how many positions there are. */
class Members {
	who = new Uint32Array(1 << 14);
	/** Whether each position is its vehicle's first since it was added. */
	added = new Uint8Array(1 << 14);
	readonly starts: Uint32Array;

	constructor(column: Column, frames: number, vehicles: number) {
		this.starts = new Uint32Array(frames + 1);
		let active: number[] = [];
		let appeared = 0;
		let count = 0;
		for (let f = 0; f < frames; f++) {
			const leaving = column.next();
			if (leaving > active.length) throw new Broken("more vehicles leave than there are");
			if (leaving > 0) active = without(active, column, leaving);
			const stay = active.length;
			const joining = column.next();
			if (joining > maxPositions) throw new Broken("too many vehicles are added at once");
			for (let k = 0; k < joining; k++) {
				const again = column.next();
				const vehicle = again === 0 ? appeared++ : again - 1;
				if (vehicle >= vehicles || vehicle >= appeared) throw new Broken("a vehicle is added that it does not list");
				active.push(vehicle);
			}
			if (count + active.length > maxPositions) throw new Broken(`it has more than ${maxPositions} positions`);
			this.reserve(count + active.length);
			this.who.set(active, count);
			this.added.fill(1, count + stay, count + active.length);
			count += active.length;
			this.starts[f + 1] = count;
		}
		this.who = this.who.slice(0, count);
	}

	private reserve(count: number): void {
		if (count <= this.who.length) return;
		const [who, added] = [this.who, this.added];
		this.who = new Uint32Array(2 * count);
		this.added = new Uint8Array(2 * count);
		this.who.set(who);
		this.added.set(added);
	}
}

function without(active: number[], column: Column, leaving: number): number[] {
	const stay: number[] = [];
	let from = 0;
	for (let k = 0; k < leaving; k++) {
		const place = from + column.next();
		if (place >= active.length) throw new Broken("a vehicle leaves that is not there");
		for (let i = from; i < place; i++) stay.push(active[i]!);
		from = place + 1;
	}
	for (let i = from; i < active.length; i++) stay.push(active[i]!);
	return stay;
}

const standing = 1; // 0.1 m/s: SUMO's own limit

const turned = (angle: number): number => ((angle % 360) + 360) % 360;

/** Reads the bytes of a segment; throws Broken. */
export async function decode(packed: Uint8Array): Promise<Segment> {
	if (packed.length < magic.length || !magic.slice(0, 4).every((b, i) => packed[i] === b)) throw new Broken("it is no part of a recording");
	if (packed[4] !== magic[4]) throw new Broken("it is of a later version; reload the page");
	const body = new Column(await unpack(packed.subarray(magic.length)), "header");
	const header = headerOf(body.part("header"));
	const columns = new Map(header.columns.map((name) => [name, new Column(body.part(name), name)]));
	if (!body.done) throw new Broken("more follows its last column");
	const column = (name: string): Column => {
		const c = columns.get(name);
		if (!c) throw new Broken(`it has no column ${name}`);
		return c;
	};
	const frames = header.times.length;
	const { who, starts, added } = new Members(column("members"), frames, header.vehicles.length);
	const count = who.length;
	const [xs, ys, angles, speeds, lanes] = ["x", "y", "angle", "speed", "lane"].map(column) as [Column, Column, Column, Column, Column];
	const s: Segment = {
		times: Float64Array.from(header.times, (ms) => ms / 1000), vehicles: header.vehicles, lanes: header.lanes, signals: header.signals, events: header.events,
		starts, who,
		x: new Float64Array(count), y: new Float64Array(count), angle: new Int16Array(count), speed: new Float32Array(count),
		waiting: new Float32Array(count), lane: new Uint32Array(count), next: new Int32Array(count).fill(-1),
	};
	/** The latest of each vehicle, in the units of the file. */
	const last = { at: new Int32Array(header.vehicles.length).fill(-1), x: new Float64Array(header.vehicles.length), y: new Float64Array(header.vehicles.length), speed: new Float64Array(header.vehicles.length) };
	for (let f = 0; f < frames; f++) {
		const dt = f > 0 ? header.times[f]! - header.times[f - 1]! : 0;
		for (let i = starts[f]!; i < starts[f + 1]!; i++) {
			const v = who[i]!;
			const before = added[i] ? -1 : last.at[v]!;
			const a = turned(before < 0 ? angles.signed() : s.angle[before]! + angles.signed());
			const speed = before < 0 ? speeds.signed() : last.speed[v]! + speeds.signed();
			const x = before < 0 ? header.origin[0] + xs.signed() : predicted(last.x[v]!, speed, dt, sines[a]!) + xs.signed();
			const y = before < 0 ? header.origin[1] + ys.signed() : predicted(last.y[v]!, speed, dt, cosines[a]!) + ys.signed();
			const lane = lanes.next();
			if (lane > header.lanes.length) throw new Broken("a vehicle is on a lane that it does not list");
			s.x[i] = x / 10;
			s.y[i] = y / 10;
			s.angle[i] = a;
			s.speed[i] = speed / 10;
			s.lane[i] = lane > 0 ? lane : before < 0 ? 0 : s.lane[before]!;
			if (speed <= standing) s.waiting[i] = before < 0 ? header.vehicles[v]!.waiting : s.waiting[before]! + dt / 1000;
			if (before >= 0) s.next[before] = i;
			last.at[v] = i;
			last.x[v] = x;
			last.y[v] = y;
			last.speed[v] = speed;
		}
	}
	return s;
}

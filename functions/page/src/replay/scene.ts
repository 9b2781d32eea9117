// What is drawn at a moment, as numbers that a graphics card takes as they are: vehicles between two frames, stop lines in
// their signals' colours.
import type { Network } from "../map/network";
import { classes } from "../map/scale";
import type { Moment, Recording, VehicleType } from "./recording";
import type { Segment } from "./segment";
import type { Pairs } from "./trips";

export const shapes = { car: 0, truck: 1, bus: 2, tram: 3, bicycle: 4, pedestrian: 5, line: 6, ring: 7 } as const;

/** By SUMO's vClass: https://sumo.dlr.de/docs/Definition_of_Vehicles,_Vehicle_Types,_and_Routes.html#abstract_vehicle_class */
const shapeOfClass: Record<string, number> = {
	truck: shapes.truck, trailer: shapes.truck, delivery: shapes.truck, container: shapes.truck,
	bus: shapes.bus, coach: shapes.bus,
	tram: shapes.tram, rail_urban: shapes.tram, rail: shapes.tram, rail_electric: shapes.tram, rail_fast: shapes.tram, subway: shapes.tram, cable_car: shapes.tram,
	bicycle: shapes.bicycle, moped: shapes.bicycle, motorcycle: shapes.bicycle, scooter: shapes.bicycle,
	pedestrian: shapes.pedestrian, wheelchair: shapes.pedestrian,
};

/** The kinds that the legend names, in the order of their colours. */
export const kinds = ["Cars", "Trucks", "Buses", "Rail", "Two-wheelers", "Persons"];

export type ColourBy = "speed" | "waiting" | "class" | "pair";

/** The pairs of origin and destination with colours of their own, which the legend names. The others share the rest of the colours. */
export const namedPairs = 6;

/** Colours as the numbers that 4 bytes r, g, b, a make on every machine that browsers run on. */
export type Palette = { ramp: Uint32Array; kinds: Uint32Array; pairs: Uint32Array; signals: Record<string, number>; unknown: number; ring: number };

export const pairColour = ({ pairs }: Palette, n: number): number => pairs[n < namedPairs ? n : namedPairs + ((n - namedPairs) % (pairs.length - namedPairs))]!;


export const packed = (colour: string): number => {
	const n = Number.parseInt(colour.slice(1), 16);
	return ((0xff << 24) | ((n & 0xff) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
};

export const unpacked = (n: number): string => `rgb(${n & 0xff} ${(n >> 8) & 0xff} ${(n >> 16) & 0xff})`;

/** Numbers of one thing: x, y, how far it moves until the next frame, its angle and how far it turns, length, width, shape, colour, and two
 * unused, since a texture has them in fours. */
export const stride = 12;
/** Things are kept in whole rows of a texture. */
export const perRow = 512;

export class Things {
	numbers = new Float32Array(0);
	colours = new Uint32Array(0); // the same memory
	count = 0;

	reserve(count: number): void {
		if (this.numbers.length < count * stride) {
			this.numbers = new Float32Array(Math.ceil((count * 1.25) / perRow) * perRow * stride);
			this.colours = new Uint32Array(this.numbers.buffer);
		}
	}
}

type Looks = { length: Float32Array; width: Float32Array; shape: Uint8Array };

const usual: VehicleType = { class: "passenger", length: 5, width: 1.8 };
const person: VehicleType = { class: "pedestrian", length: 0.4, width: 0.5 };

const looksOf = (segment: Segment, types: Record<string, VehicleType>): Looks => {
	const of = segment.vehicles.map((v) => (Object.hasOwn(types, v.type) ? types[v.type]! : v.person ? person : usual));
	const size = (v: number, most: number) => (v > 0 ? Math.min(v, most) : 1);
	return {
		length: Float32Array.from(of, (t) => size(t.length, 1000)),
		width: Float32Array.from(of, (t) => size(t.width, 20)),
		shape: Uint8Array.from(of, (t, i) => (segment.vehicles[i]!.person ? shapes.pedestrian : shapeOfClass[t.class] ?? shapes.car)),
	};
};

/** A jump, as of a teleport, is not drawn as a movement: no vehicle goes as far as this in a second. */
const fastest = 120; // m/s

export class Scene {
	readonly vehicles = new Things();
	readonly lines = new Things();
	moment: Moment | undefined;
	/** Places in the things are counted from the network's middle, where numbers of 32 bits are exact to a millimetre. */
	readonly middle: [number, number];
	/** Counts changes of the vehicles, and of the lines. */
	version = 0;
	linesVersion = 0;
	colourBy: ColourBy = "speed";
	top = 50 / 3.6; // m/s, the speed at the free end of the colours
	private seen: { segment?: Segment; frame: number; then?: Segment; style: string } = { frame: -1, style: "" };
	private looks = new WeakMap<Segment, Looks>();
	private pairs: Pairs | undefined;
	private paired = new WeakMap<Segment, Uint32Array>();
	private signalled: { segment?: Segment; states: string[]; change: number; of: Int32Array } = { states: [], change: 0, of: new Int32Array(0) };

	constructor(
		readonly network: Network,
		readonly recording: Recording,
		public palette: Palette,
	) {
		const b = network.bounds;
		this.middle = [(b.minX + b.maxX) / 2, (b.minY + b.maxY) / 2];
	}

	static readonly longestWait = 120; // s, the waiting time at the congested end of the colours

	show(time: number): void {
		this.moment = this.recording.at(time);
		this.showVehicles();
		this.showLines(time);
	}

	looksOf(segment: Segment): Looks {
		let looks = this.looks.get(segment);
		if (!looks) this.looks.set(segment, (looks = looksOf(segment, this.recording.index?.types ?? {})));
		return looks;
	}

	/** Says where the trips lead, for colours by that. */
	take(pairs: Pairs | undefined): void {
		if (this.pairs === pairs) return;
		this.pairs = pairs;
		this.paired = new WeakMap();
		this.seen.style = "";
	}

	/** The colours of a segment's vehicles by where their trips lead. */
	private pairColours(segment: Segment): Uint32Array {
		let known = this.paired.get(segment);
		if (!known) {
			const { palette, pairs } = this;
			known = Uint32Array.from(segment.vehicles, (v) => {
				const n = v.person ? undefined : pairs?.of.get(v.id);
				return n === undefined ? palette.unknown : pairColour(palette, n);
			});
			this.paired.set(segment, known);
		}
		return known;
	}

	/** The last position of a moment's frame, and what leads from each of its positions to the next frame. */
	step(m: Moment): { from: number; to: number; next: Int32Array; first: number; then: Segment } {
		const { segment: s, frame: f } = m;
		const [from, to] = [s.starts[f]!, s.starts[f + 1]!];
		return m.then ? { from, to, next: this.recording.bridge(s, m.then), first: from, then: m.then } : { from, to, next: s.next, first: 0, then: s };
	}

	private showVehicles(): void {
		const m = this.moment;
		const style = `${this.colourBy} ${this.top}`;
		const { seen, vehicles } = this;
		if (seen.segment === m?.segment && seen.frame === (m?.frame ?? -1) && seen.then === m?.then && seen.style === style) return;
		this.seen = { segment: m?.segment, frame: m?.frame ?? -1, then: m?.then, style };
		this.version++;
		vehicles.count = 0;
		if (!m) return;
		const { segment: s, frame: f } = m;
		const { from, to, next, first, then } = this.step(m);
		const looks = this.looksOf(s);
		vehicles.reserve(to - from);
		vehicles.count = to - from;
		const { numbers, colours } = vehicles;
		const [mx, my] = this.middle;
		const dt = (m.then ? m.then.times[0]! : s.times[f + 1] ?? s.times[f]!) - s.times[f]!;
		const furthest = Math.max(20, fastest * dt);
		const { ramp, kinds: kindColours } = this.palette;
		const perSpeed = classes / Math.max(0.1, this.top);
		const perWait = classes / Scene.longestWait;
		const byPair = this.colourBy === "pair" ? this.pairColours(s) : undefined;
		for (let i = from, at = 0; i < to; i++, at += stride) {
			const v = s.who[i]!;
			const j = next[i - first]!;
			const x = s.x[i]!;
			const y = s.y[i]!;
			const a = s.angle[i]!;
			numbers[at] = x - mx;
			numbers[at + 1] = y - my;
			let dx = 0;
			let dy = 0;
			let turn = 0;
			if (j >= 0) {
				dx = then.x[j]! - x;
				dy = then.y[j]! - y;
				if (Math.abs(dx) + Math.abs(dy) > furthest) dx = dy = 0;
				else turn = ((then.angle[j]! - a + 540) % 360) - 180; // the shorter way round
			}
			numbers[at + 2] = dx;
			numbers[at + 3] = dy;
			numbers[at + 4] = a;
			numbers[at + 5] = turn;
			numbers[at + 6] = looks.length[v]!;
			numbers[at + 7] = looks.width[v]!;
			const shape = looks.shape[v]!;
			numbers[at + 8] = shape;
			colours[at + 9] =
				this.colourBy === "speed"
					? ramp[Math.min(classes - 1, (s.speed[i]! * perSpeed) | 0)]!
					: this.colourBy === "waiting"
						? ramp[classes - 1 - Math.min(classes - 1, (s.waiting[i]! * perWait) | 0)]!
						: byPair
							? byPair[v]!
							: kindColours[shape]!;
		}
	}

	/** Where a position is at the moment, between its frame and the next. */
	placeOf(m: Moment, i: number): { x: number; y: number; angle: number } {
		const { from } = this.step(m);
		const at = (i - from) * stride;
		const n = this.vehicles.numbers;
		return { x: n[at]! + this.middle[0] + m.share * n[at + 2]!, y: n[at + 1]! + this.middle[1] + m.share * n[at + 3]!, angle: n[at + 4]! + m.share * n[at + 5]! };
	}

	/** The vehicle nearest to a place within reach, as a position of the moment's segment, with its distance. */
	vehicleAt(x: number, y: number, reach: number): { position: number; distance: number } | undefined {
		const m = this.moment;
		if (!m) return undefined;
		const { numbers, count } = this.vehicles;
		const from = m.segment.starts[m.frame]!;
		let best: number | undefined;
		let least = reach + 1e-9;
		for (let k = 0, at = 0; k < count; k++, at += stride) {
			const ax = numbers[at]! + this.middle[0] + m.share * numbers[at + 2]! - x;
			const ay = numbers[at + 1]! + this.middle[1] + m.share * numbers[at + 3]! - y;
			const length = numbers[at + 6]!;
			if (Math.abs(ax) + Math.abs(ay) > 2 * (reach + length)) continue;
			// x and y are of its front: the nearest point is somewhere between that and its back.
			const a = ((numbers[at + 4]! + m.share * numbers[at + 5]!) * Math.PI) / 180;
			const along = Math.max(0, Math.min(length, ax * Math.sin(a) + ay * Math.cos(a)));
			const d = Math.max(0, Math.hypot(ax - along * Math.sin(a), ay - along * Math.cos(a)) - numbers[at + 7]! / 2);
			if (d < least) [best, least] = [from + k, d];
		}
		return best === undefined ? undefined : { position: best, distance: least };
	}

	/** The signal whose stop line is nearest to a place within reach, with its distance. */
	signalAt(x: number, y: number, reach: number): { signal: string; distance: number } | undefined {
		let best: string | undefined;
		let least = reach;
		for (const { signal, line } of this.network.stopLines) {
			const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = line;
			const [dx, dy] = [x1 - x0, y1 - y0];
			const along = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
			const d = Math.max(0, Math.hypot(x - x0 - along * dx, y - y0 - along * dy) - thickness / 2);
			if (d < least) [best, least] = [signal, d];
		}
		return best === undefined ? undefined : { signal: best, distance: least };
	}

	private showLines(time: number): void {
		const lines = this.network.stopLines;
		const segment = this.moment?.segment;
		if (lines.length === 0) return;
		const known = this.signalled;
		const ms = 1000 * time + 0.5;
		let changed = this.lines.count === 0;
		if (known.segment !== segment || (segment && known.change > 0 && segment.signals.changes[known.change - 1]![0] > ms)) {
			const number = new Map(segment?.signals.ids.map((id, n) => [id, n]));
			const of = known.segment === segment ? known.of : Int32Array.from(lines, (l) => number.get(l.signal) ?? -1);
			this.signalled = { segment, states: [...(segment?.signals.states ?? [])], change: 0, of };
			changed = true;
		}
		const now = this.signalled;
		const changes = segment?.signals.changes ?? [];
		for (; now.change < changes.length && changes[now.change]![0] <= ms; now.change++) {
			const [, n, state] = changes[now.change]!;
			now.states[n] = state;
			changed = true;
		}
		if (changed) this.setLines(now.states, now.of);
	}

	recolour(palette: Palette): void {
		this.palette = palette;
		this.seen.style = "";
		this.paired = new WeakMap();
		this.signalled = { states: [], change: 0, of: new Int32Array(0) };
		this.lines.count = 0;
	}

	private setLines(states: string[], of: Int32Array): void {
		const { stopLines } = this.network;
		this.linesVersion++;
		this.lines.reserve(stopLines.length);
		this.lines.count = stopLines.length;
		const { numbers, colours } = this.lines;
		const unknown = this.palette.signals[""]!;
		stopLines.forEach(({ line, index }, k) => {
			const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = line;
			const at = k * stride;
			const angle = (Math.atan2(y1 - y0, x0 - x1) * 180) / Math.PI; // of the travel that it stops
			numbers.set([(x0 + x1) / 2 - this.middle[0], (y0 + y1) / 2 - this.middle[1], 0, 0, angle, 0, thickness, Math.hypot(x1 - x0, y1 - y0), shapes.line], at);
			colours[at + 9] = this.palette.signals[states[of[k]!]?.[index] ?? ""] ?? unknown;
		});
	}
}

const thickness = 0.9; // metres, of a stop line

// A run's vehicles, fetched in windows of time around the current moment.
import type { Got } from "../api";
import type { Place } from "./painter";

type Window = Got<"/jobs/{id}/vehicles">;

/** Enough to step back a little; each holds at most about 20,000 positions. */
const maxWindows = 12;

type Loaded = Window & {
	until: number; // where the next window begins
	at: Map<number, number>[]; // for each frame, the index of each vehicle in it
};

export class Playback {
	private windows: Loaded[] = []; // most recently used last
	private loading = new Map<number, Promise<void>>();

	constructor(
		private readonly fetchWindow: (begin: number) => Promise<Window>,
		private readonly changed: () => void,
	) {}

	private find(time: number): Loaded | undefined {
		return this.windows.find((w) => time >= (w.times[0] ?? w.begin) && time < w.until);
	}

	has = (time: number): boolean => this.find(time) !== undefined;

	/** Loads the vehicles at time; if they are loaded, those after it. */
	async need(time: number): Promise<void> {
		const here = this.find(time);
		if (!here) {
			await this.load(Math.floor(time));
			return;
		}
		this.windows = [...this.windows.filter((w) => w !== here), here];
		if (here.next != null && !this.has(here.next)) await this.load(here.next);
	}

	private load(begin: number): Promise<void> {
		const under = this.loading.get(begin);
		if (under) return under;
		const loading = this.fetchWindow(begin)
			.then((w) => {
				// The last window answers for all later times.
				const loaded = { ...w, until: w.next ?? Infinity, at: w.frames.map((f) => new Map(f.map((p, k) => [p[0]!, k]))) };
				// A window without a frame at its begin still answers for that moment.
				if (w.times.length === 0 || w.times[0]! > begin) loaded.times = [begin, ...w.times];
				if (loaded.times.length > w.times.length) {
					loaded.frames = [[], ...w.frames];
					loaded.at = [new Map(), ...loaded.at];
				}
				this.windows = [...this.windows, loaded].slice(-maxWindows);
				this.changed();
			})
			.finally(() => this.loading.delete(begin));
		this.loading.set(begin, loading);
		return loading;
	}

	/** The vehicles' positions at time, interpolated between two frames. */
	places(time: number): Place[] {
		const w = this.find(time);
		if (!w) return [];
		let k = 0;
		while (k + 1 < w.times.length && w.times[k + 1]! <= time) k++;
		const next = w.frames[k + 1];
		const share = next ? (time - w.times[k]!) / (w.times[k + 1]! - w.times[k]!) : 0;
		return w.frames[k]!.map(([id = 0, x = 0, y = 0, angle = 0]) => {
			const type = w.types[id] ?? "";
			const then = share > 0 ? w.at[k + 1]!.get(id) : undefined;
			if (then === undefined) return { x, y, angle, type };
			const [, x2 = x, y2 = y, angle2 = angle] = next![then]!;
			const turn = ((angle2 - angle + 540) % 360) - 180; // the shorter way round
			return { x: x + (x2 - x) * share, y: y + (y2 - y) * share, angle: angle + turn * share, type };
		});
	}
}

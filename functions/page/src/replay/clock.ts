// The clock of a map: simulated time, which plays, waits for what has to arrive, or follows a run.
import { signal } from "@preact/signals";

export const rates = [1, 2, 5, 10, 20, 50, 100, 200];

/** How long after the latest moment of a run it is shown, in seconds: segments come every 2 s. */
const lag = 1.2;
/** The displays change at most this often, in ms, while time goes on: they are read, not watched. */
const reading = 100;

export class Clock {
	time = 0;
	readonly now = signal(0); // time, for displays
	private readonly drawn = signal(0);
	readonly playing = signal(false);
	readonly live = signal(false); // follows the end
	readonly rate = signal(10);
	readonly range = signal<[begin: number, end: number]>([0, 0]);
	/** Whether a time can be shown. */
	ready: (time: number) => boolean = () => true;
	/** Whether the end will move. */
	open = false;
	/** Called with each new time, at most once for each frame of the screen. */
	readonly watchers = new Set<(time: number) => void>();
	private request = 0;
	private shown = 0;

	/** The time, for a display that has to follow also what arrives while time stands. */
	reading(): number {
		void this.drawn.value;
		return this.now.value;
	}

	/** Says that there is more to read. */
	arrived(): void {
		this.drawn.value++;
	}

	get begin(): number {
		return this.range.value[0];
	}
	get end(): number {
		return this.range.value[1];
	}

	seek(time: number): void {
		this.live.value = false;
		this.set(Math.max(this.begin, Math.min(this.end, time)), true);
	}

	play(): void {
		if (this.time >= this.end && !this.open) this.seek(this.begin);
		this.playing.value = true;
		this.run();
	}

	pause(): void {
		this.playing.value = this.live.value = false;
		this.now.value = this.time;
	}

	toggle(): void {
		if (this.playing.value) this.pause();
		else this.play();
	}

	follow(): void {
		this.live.value = this.playing.value = true;
		this.run();
	}

	private set(time: number, display: boolean): void {
		this.time = time;
		if (display || performance.now() > this.shown + reading) {
			this.now.value = time;
			this.shown = performance.now();
		}
		for (const watch of this.watchers) watch(time);
	}

	private run(): void {
		if (this.request) return;
		let before = performance.now();
		const step = (at: number) => {
			this.request = 0;
			if (!this.playing.value) return;
			const passed = Math.max(0, Math.min(100, at - before)) / 1000; // a tab that was hidden does not jump
			before = at;
			const behind = this.end - this.time;
			// Following, the distance to the end decides the rate, so that steps in which the end moves are not seen.
			const next = Math.min(this.end, this.time + (this.live.value ? behind * Math.min(1, passed / lag) : passed * this.rate.value));
			if (next > this.time && this.ready(next)) this.set(next, false);
			if (this.time >= this.end && !this.open) return this.pause();
			this.request = requestAnimationFrame(step);
		};
		this.request = requestAnimationFrame(step);
	}

	stop(): void {
		this.playing.value = false;
		cancelAnimationFrame(this.request);
		this.request = 0;
	}
}

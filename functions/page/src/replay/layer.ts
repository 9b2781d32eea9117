// The moving layer of a map: a scene on a canvas, with a ring around what is selected.
import type { Camera } from "../map/camera";
import type { Layer } from "../map/surface";
import { type Painter, painterOf } from "./painter";
import { keyOf } from "./recording";
import { type Scene, shapes, stride, Things } from "./scene";
import { leastLength } from "./webgl";

/** A vehicle by the key that a recording has for it, or a traffic signal by its id. */
export type Thing = { vehicle: string } | { signal: string };

export type Style = { halo: string; ring: number };

const roundRing = 14; // pixels between a vehicle and the ring around it

export class ReplayLayer implements Layer {
	private painter: Painter | undefined;
	private canvas: HTMLCanvasElement | undefined;
	private redraw = () => {};
	private readonly marks = new Things();
	private marksVersion = 0;
	selected: Thing | undefined;
	/** Where something happened, in metres. */
	pin: [x: number, y: number] | undefined;
	/** The last drawing, to draw it again in time for a copy. */
	private last: Camera | undefined;

	constructor(
		readonly scene: Scene,
		private style: Style,
		private readonly select: (thing: Thing) => void,
	) {}

	attach(canvas: HTMLCanvasElement, redraw: () => void): () => void {
		// A canvas keeps the kind of its first context.
		if (this.canvas !== canvas) {
			this.canvas = canvas;
			this.painter = painterOf(canvas, (kind) => (canvas.dataset.painter = kind));
		}
		this.redraw = redraw;
		return () => {
			this.redraw = () => {};
			this.painter?.stop();
			this.canvas = this.painter = undefined;
		};
	}

	show(time: number): void {
		this.scene.show(time);
		this.redraw();
	}

	restyle(style: Style): void {
		this.style = style;
		this.redraw();
	}

	again(): void {
		if (this.last && !this.painter?.keeps) this.draw(this.last);
	}

	draw(camera: Camera): void {
		const { scene, painter, canvas } = this;
		this.last = camera;
		if (!painter || !canvas) return;
		const share = scene.moment?.share ?? 0;
		this.mark(camera);
		const ratio = canvas.width / Math.max(1, camera.width);
		const things = [
			{ of: scene.lines, share: 0, version: scene.linesVersion },
			{ of: scene.vehicles, share, version: scene.version, vehicles: true },
			{ of: this.marks, share: 0, version: this.marksVersion },
		];
		painter.draw(camera, scene.middle, ratio, this.style.halo, things);
	}

	/** Resolves when what was last drawn can be seen. */
	async painted(): Promise<void> {
		await this.painter?.painted();
	}

	/** Where the selected vehicle is, if it is there. */
	selectedPlace(): { x: number; y: number; angle: number; position: number } | undefined {
		const m = this.scene.moment;
		if (!m || !this.selected || !("vehicle" in this.selected)) return undefined;
		const position = this.scene.recording.find(m, this.selected.vehicle);
		return position === undefined ? undefined : { ...this.scene.placeOf(m, position), position };
	}

	private mark(camera: Camera): void {
		const { marks, scene } = this;
		marks.reserve(64);
		marks.count = 0;
		this.marksVersion++;
		const ring = (x: number, y: number, pixels: number) => {
			if (marks.count === 64) return;
			const at = marks.count++ * stride;
			marks.numbers.set([x - scene.middle[0], y - scene.middle[1], 0, 0, 0, 0, pixels, pixels, shapes.ring], at);
			marks.colours[at + 9] = this.style.ring;
		};
		const place = this.selectedPlace();
		if (place) {
			const m = scene.moment!;
			const looks = scene.looksOf(m.segment);
			const length = looks.length[m.segment.who[place.position]!]!;
			// The place is of the front; a person's is of the middle.
			const back = m.segment.vehicles[m.segment.who[place.position]!]!.person ? 0 : Math.max(length, leastLength(camera.scale) / camera.scale) / 2;
			const a = (place.angle * Math.PI) / 180;
			ring(place.x - back * Math.sin(a), place.y - back * Math.cos(a), Math.max(8, length * camera.scale) + roundRing);
		}
		if (this.selected && "signal" in this.selected) {
			const { signal } = this.selected;
			const lines = scene.network.stopLines.filter((l) => l.signal === signal);
			const mean = (k: number) => lines.reduce((sum, l) => sum + (l.line[k]! + l.line[k + 2]!) / 2, 0) / lines.length;
			if (lines.length > 0) {
				const [x, y] = [mean(0), mean(1)];
				const round = Math.max(...lines.map((l) => Math.hypot(l.line[0]! - x, l.line[1]! - y)));
				ring(x, y, 2 * round * camera.scale + roundRing);
			}
		}
		if (this.pin) ring(...this.pin, 44);
	}

	press(x: number, y: number, reach: number): boolean {
		const vehicle = this.scene.vehicleAt(x, y, reach);
		// From far, stop lines are too small to be meant.
		const line = reach < 12 ? this.scene.signalAt(x, y, reach) : undefined;
		const m = this.scene.moment;
		if (vehicle && m && !(line && line.distance < vehicle.distance)) this.select({ vehicle: keyOf(m.segment.vehicles[m.segment.who[vehicle.position]!]!) });
		else if (line) this.select({ signal: line.signal });
		else return false;
		return true;
	}
}


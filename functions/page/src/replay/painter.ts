// What draws the moving layer of a map, beside the page where the browser can do that: the page then stays responsive with any number
// of vehicles.
import { Camera, placed } from "../map/camera";
import type { Answered, Asked, Stopped } from "./drawing";
import { type Drawn, type Kind, localPainter } from "./local";
import { stride } from "./scene";
import { hasGraphicsCard } from "./webgl";

declare const DRAWING: string; // the worker's address: build.mjs sets it

export interface Painter {
	draw(camera: Camera, middle: [number, number], ratio: number, halo: string, things: Drawn[]): void;
	/** Whether the canvas can be copied at any time, and not only right after drawing. */
	readonly keeps: boolean;
	/** Resolves when what was last asked for can be seen. */
	painted(): Promise<void>;
	stop(): void;
}

/** A painter on a canvas that has not been drawn on; said is called with its kind. */
export function painterOf(canvas: HTMLCanvasElement, said: (kind: Kind) => void): Painter {
	// The setting is for tests on machines without a graphics card.
	const kind = hasGraphicsCard() || sessionStorage.getItem("painter") === "webgl" ? "webgl" : "canvas";
	if (startDrawing()) return new RemotePainter(canvas, kind, said);
	const painter = localPainter(canvas, kind);
	said(painter.kind);
	return { draw: (...all) => painter.draw(...all), keeps: painter.kind === "canvas", painted: () => Promise.resolve(), stop: () => {} };
}

let worker: Worker | undefined;
const painters = new Map<number, RemotePainter>();
let made = 0;

/** Starts the worker, which draws for all maps and is kept; undefined where browsers cannot draw beside the page. */
export function startDrawing(): Worker | undefined {
	if (worker || typeof OffscreenCanvas === "undefined" || typeof ImageBitmapRenderingContext === "undefined") return worker;
	worker = new Worker(DRAWING, { type: "module" });
	worker.onmessage = ({ data }: MessageEvent<Answered>) => {
		const painter = painters.get(data.of);
		if (painter) painter.take(data);
		else data.picture.close();
	};
	// What cannot be drawn is not shown, but what comes after it is.
	worker.onerror = () => painters.forEach((painter) => painter.free());
	return worker;
}

/** Has the worker draw, one picture at a time: of what is asked for meanwhile, the latest is drawn. */
class RemotePainter implements Painter {
	readonly keeps = true;
	private readonly number = made++;
	private readonly shown: ImageBitmapRenderingContext;
	private busy = false;
	private next: Omit<Asked, "of" | "kind" | "changed"> | undefined;
	private changed = new Map<number, Asked["changed"][number]>();
	private versions: number[] = [];
	private latest = new Camera();
	private readonly drawn = new Camera(); // with which the picture on the canvas was drawn
	private waiting: (() => void)[] = [];

	constructor(
		private readonly canvas: HTMLCanvasElement,
		private readonly kind: Kind,
		private readonly said: (kind: Kind) => void,
	) {
		this.shown = canvas.getContext("bitmaprenderer")!;
		painters.set(this.number, this);
	}

	take({ kind, picture, camera }: Answered): void {
		this.said(kind);
		this.shown.transferFromImageBitmap(picture);
		Object.assign(this.drawn, camera);
		placed(this.canvas, this.latest.since(this.drawn));
		this.free();
	}

	free(): void {
		this.busy = false;
		this.ask();
		if (!this.busy) for (const resolve of this.waiting.splice(0)) resolve();
	}

	draw(camera: Camera, middle: [number, number], ratio: number, halo: string, things: Drawn[]): void {
		const { width, height } = this.canvas;
		if (width === 0 || height === 0) return;
		Object.assign(this.latest, camera);
		// Until there is another, the picture moves with the network below it.
		placed(this.canvas, this.latest.since(this.drawn));
		things.forEach(({ of, version }, n) => {
			if (this.versions[n] === version) return;
			this.versions[n] = version;
			this.changed.set(n, { n, count: of.count, numbers: of.numbers.slice(0, of.count * stride) });
		});
		this.next = { camera: { ...camera }, width, height, middle, ratio, halo, things: things.map(({ share, version, vehicles }) => ({ share, version, vehicles })) };
		this.ask();
	}

	painted(): Promise<void> {
		return this.busy ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve();
	}

	private ask(): void {
		if (this.busy || !this.next) return;
		this.busy = true;
		const changed = [...this.changed.values()];
		worker!.postMessage({ ...this.next, of: this.number, kind: this.kind, changed } satisfies Asked, changed.map((c) => c.numbers.buffer as ArrayBuffer));
		this.next = undefined;
		this.changed.clear();
	}

	stop(): void {
		painters.delete(this.number);
		worker!.postMessage({ of: this.number } satisfies Stopped);
		for (const resolve of this.waiting.splice(0)) resolve();
	}
}

// Draws the moving layer of a map beside the page.
import { Camera } from "../map/camera";
import type { CanvasPainter } from "./canvas";
import { type Drawn, type Kind, localPainter } from "./local";
import { Things } from "./scene";
import type { WebGLPainter } from "./webgl";

type View = Pick<Camera, "x" | "y" | "scale" | "width" | "height">;
export type Asked = {
	of: number; // the painter that asks
	kind: Kind;
	camera: View;
	width: number; // pixels of the canvas
	height: number;
	middle: [number, number];
	ratio: number;
	halo: string;
	things: Omit<Drawn, "of">[];
	/** Those that are not as they were, by their place in things. */
	changed: { n: number; count: number; numbers: Float32Array }[];
};
export type Stopped = { of: number };
export type Answered = { of: number; kind: Kind; camera: View; picture: ImageBitmap };

/** What is kept for each painter of the page. */
const kept = new Map<number, { painter: WebGLPainter | CanvasPainter; things: Things[] }>();
const camera = new Camera();

onmessage = ({ data }: MessageEvent<Asked | Stopped>) => {
	const { of } = data;
	if (!("camera" in data)) return void kept.delete(of);
	let mine = kept.get(of);
	if (!mine) kept.set(of, (mine = { painter: localPainter(new OffscreenCanvas(data.width, data.height), data.kind), things: data.things.map(() => new Things()) }));
	const { painter, things } = mine;
	const canvas = painter.canvas as OffscreenCanvas;
	if (canvas.width !== data.width || canvas.height !== data.height) [canvas.width, canvas.height] = [data.width, data.height];
	for (const { n, count, numbers } of data.changed) {
		things[n]!.reserve(count);
		things[n]!.numbers.set(numbers);
		things[n]!.count = count;
	}
	Object.assign(camera, data.camera);
	painter.draw(camera, data.middle, data.ratio, data.halo, data.things.map((t, n) => ({ ...t, of: things[n]! })));
	const picture = canvas.transferToImageBitmap();
	postMessage({ of, kind: painter.kind, camera: data.camera, picture } satisfies Answered, { transfer: [picture] });
};

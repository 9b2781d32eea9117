// Draws the network on canvases. All edges of one colour and width share a path, because time grows
// with the number of strokes, not of lines.
import type { Camera } from "./camera";
import type { Network } from "./network";
import { classes, none } from "./scale";

const laneWidth = 3.2; // metres, SUMO's own
const widest = 4; // lanes; more do not widen the line
const thinnest = 1.6; // pixels

export type Look = { ramp: string[]; unsampled: string; casing: string; highlight: string; halo: string };

const lineWidth = (lanes: number, scale: number): number => Math.max(thinnest + 0.5 * (Math.min(lanes, widest) - 1), Math.min(lanes, widest) * laneWidth * scale * 0.8);

/** How far to the right of its line an edge is drawn, so that a road's two directions do not overlap. */
function shift(lanes: number, width: number, scale: number): number {
	return Math.max(0, width / 2 + 0.4 - (lanes * laneWidth * scale) / 2);
}

export function drawNetwork(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, classOfEdge: Uint8Array, look: Look): void {
	ctx.clearRect(0, 0, camera.width, camera.height);
	drawPolygons(ctx, camera, network);
	const visible = network.within(camera.view());
	// Edges without a value come first, below the others.
	const batches: number[][] = Array.from({ length: (classes + 1) * widest }, () => []);
	for (const i of visible) {
		const c = classOfEdge[i] ?? none;
		batches[(c === none ? 0 : c + 1) * widest + Math.min(network.edges[i]!.lanes, widest) - 1]!.push(i);
	}
	const detailed = camera.scale > 0.15; // pixels per metre; a whole city has fewer
	ctx.lineJoin = detailed ? "round" : "bevel";
	ctx.lineCap = "butt";
	const stroke = (batch: number[], at: number, wider: number) => {
		const lanes = (at % widest) + 1;
		const width = lineWidth(lanes, camera.scale);
		ctx.lineWidth = width + wider;
		ctx.beginPath();
		for (const i of batch) trace(ctx, camera, network, i, shift(lanes, width, camera.scale));
		ctx.stroke();
	};
	if (detailed) {
		fillJunctions(ctx, camera, network, look.unsampled);
		ctx.strokeStyle = look.casing;
		batches.forEach((batch, at) => batch.length > 0 && at >= widest && stroke(batch, at, 1.5));
	}
	batches.forEach((batch, at) => {
		if (batch.length === 0) return;
		ctx.strokeStyle = at < widest ? look.unsampled : look.ramp[Math.floor(at / widest) - 1]!;
		stroke(batch, at, 0);
	});
}

const opacity = 0.45; // of polygons, so that their colours, which are made for sumo-gui, suit light and dark maps

/** Polygons lie below the roads; neighbours of one colour share a path. */
function drawPolygons(ctx: CanvasRenderingContext2D, camera: Camera, network: Network): void {
	const style = (p: Network["polygons"][number]) => `${p.color} ${p.fill}`;
	let open: Network["polygons"][number] | undefined;
	const close = () => {
		if (open?.fill) ctx.fill();
		else if (open) ctx.stroke();
	};
	ctx.globalAlpha = opacity;
	ctx.lineWidth = 1.5;
	for (const i of network.polygonsWithin(camera.view())) {
		const p = network.polygons[i]!;
		if (!open || style(open) !== style(p)) {
			close();
			ctx.beginPath();
			ctx.fillStyle = ctx.strokeStyle = p.color;
			open = p;
		}
		outline(ctx, camera, p.shape);
		if (p.fill) ctx.closePath();
	}
	close();
	ctx.globalAlpha = 1;
}

function outline(ctx: CanvasRenderingContext2D, camera: Camera, shape: number[]): void {
	for (let k = 0; k + 1 < shape.length; k += 2) {
		const x = (shape[k]! - camera.x) * camera.scale + camera.width / 2;
		const y = camera.height / 2 - (shape[k + 1]! - camera.y) * camera.scale;
		if (k === 0) ctx.moveTo(x, y);
		else ctx.lineTo(x, y);
	}
}

/** Without the junctions' areas, roads would seem to end where they meet. */
function fillJunctions(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, fill: string): void {
	ctx.beginPath();
	for (const i of network.areasWithin(camera.view())) {
		outline(ctx, camera, network.areas[i]!);
		ctx.closePath();
	}
	ctx.fillStyle = fill;
	ctx.fill();
}

function trace(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, i: number, shifted: number): void {
	const { points, right, starts } = network;
	const { scale } = camera;
	const offsetX = camera.width / 2 - camera.x * scale;
	const offsetY = camera.height / 2 + camera.y * scale;
	const from = starts[i]!;
	const last = starts[i + 1]! - 2;
	let px = Infinity;
	let py = Infinity;
	for (let k = from; k <= last; k += 2) {
		const x = points[k]! * scale + offsetX + right[k]! * shifted;
		const y = offsetY - points[k + 1]! * scale - right[k + 1]! * shifted;
		if (k === from) ctx.moveTo(x, y);
		// Skips points that coincide on the screen, but not an edge's end.
		else if (k === last || Math.abs(x - px) + Math.abs(y - py) > 0.7) ctx.lineTo(x, y);
		else continue;
		px = x;
		py = y;
	}
}

/** Outlines an edge, which keeps its colour. */
export function drawHighlight(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, i: number, classOfEdge: number, look: Look): void {
	const lanes = Math.min(network.edges[i]!.lanes, widest);
	const width = lineWidth(lanes, camera.scale);
	ctx.lineJoin = "round";
	ctx.lineCap = "round";
	ctx.beginPath();
	trace(ctx, camera, network, i, shift(lanes, width, camera.scale));
	for (const [colour, wider] of [[look.highlight, 8], [look.halo, 3], [look.ramp[classOfEdge] ?? look.unsampled, 0.5]] as const) {
		ctx.strokeStyle = colour;
		ctx.lineWidth = width + wider;
		ctx.stroke();
	}
}

// Draws the network and the vehicles on canvases. All edges of one colour and width share a path, because time grows
// with the number of strokes, not of lines.
import type { Camera } from "./camera";
import type { Network } from "./network";
import { classes, none } from "./scale";

const laneWidth = 3.2; // metres, SUMO's own
const widest = 4; // lanes; more do not widen the line
const thinnest = 1.6; // pixels

export type Look = { ramp: string[]; unsampled: string; casing: string; highlight: string; vehicle: string; halo: string };

const lineWidth = (lanes: number, scale: number): number => Math.max(thinnest + 0.5 * (Math.min(lanes, widest) - 1), Math.min(lanes, widest) * laneWidth * scale * 0.8);

/** How far to the right of its line an edge is drawn, so that a road's two directions do not overlap. */
function shift(lanes: number, width: number, scale: number): number {
	return Math.max(0, width / 2 + 0.4 - (lanes * laneWidth * scale) / 2);
}

export function drawNetwork(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, classOfEdge: Uint8Array, look: Look): void {
	ctx.clearRect(0, 0, camera.width, camera.height);
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

/** Without the junctions' areas, roads would seem to end where they meet. */
function fillJunctions(ctx: CanvasRenderingContext2D, camera: Camera, network: Network, fill: string): void {
	const { scale } = camera;
	ctx.beginPath();
	for (const i of network.areasWithin(camera.view())) {
		const outline = network.areas[i]!;
		for (let k = 0; k + 1 < outline.length; k += 2) {
			const x = (outline[k]! - camera.x) * scale + camera.width / 2;
			const y = camera.height / 2 - (outline[k + 1]! - camera.y) * scale;
			if (k === 0) ctx.moveTo(x, y);
			else ctx.lineTo(x, y);
		}
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

/** A vehicle's position; angle in degrees, clockwise from north, as in SUMO. */
export type Place = { x: number; y: number; angle: number; type: string };

const carLength = 4.6; // metres
const isLong = /bus|truck|trailer|tram|rail|coach/i;

/** Vehicles are arrows of one colour: their edges' colours show their speed. */
export function drawVehicles(ctx: CanvasRenderingContext2D, camera: Camera, places: Place[], look: Look): void {
	const view = camera.view();
	// Zoomed out, they are larger than life, but small enough not to cover the network.
	const length = Math.max(carLength * camera.scale, Math.min(7, 3 + 8 * camera.scale));
	const half = Math.max(1.6, length * 0.27);
	ctx.beginPath();
	for (const p of places) {
		if (p.x < view.minX || p.x > view.maxX || p.y < view.minY || p.y > view.maxY) continue;
		const sx = (p.x - camera.x) * camera.scale + camera.width / 2;
		const sy = camera.height / 2 - (p.y - camera.y) * camera.scale;
		const a = (p.angle * Math.PI) / 180;
		const fx = Math.sin(a);
		const fy = -Math.cos(a);
		const size = isLong.test(p.type) ? 1.7 : 1;
		const bx = sx - fx * length * size;
		const by = sy - fy * length * size;
		ctx.moveTo(sx, sy);
		ctx.lineTo(bx - fy * half, by + fx * half);
		ctx.lineTo(bx + fy * half, by - fx * half);
		ctx.closePath();
	}
	ctx.lineJoin = "round";
	ctx.lineWidth = length < 6 ? 1 : 2;
	ctx.strokeStyle = look.halo;
	ctx.stroke();
	ctx.fillStyle = look.vehicle;
	ctx.fill();
}

// Draws the things of a scene on a canvas, for browsers without a graphics card. From far, where there may be thousands of them, they are
// sprites. Nearer, those of one colour share a path, because time grows with the number of fills.
import type { Camera } from "../map/camera";
import { shapes, stride, type Things, unpacked } from "./scene";
import { SpriteBoard } from "./sprites";
import { far, leastLength, leastWidth } from "./webgl";

export class CanvasPainter {
	readonly kind = "canvas";
	private readonly context: CanvasRenderingContext2D;
	private readonly board: SpriteBoard;

	constructor(readonly canvas: HTMLCanvasElement | OffscreenCanvas) {
		// Pixels are written, so they are kept in memory. Both kinds of canvases draw alike.
		this.context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
		this.board = new SpriteBoard(this.context);
	}

	draw(camera: Camera, middle: [number, number], ratio: number, halo: string, things: { of: Things; share: number }[]): void {
		const { context: ctx } = this;
		ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
		const sprites = camera.scale < far;
		const left = new Map<Things, number[]>();
		if (sprites) {
			this.board.begin(halo);
			for (const { of, share } of things) {
				if (of.count > 0 && of.numbers[8] !== shapes.ring) left.set(of, this.board.draw(camera, middle, ratio, of, share, leastLength(camera.scale), leastWidth));
			}
			this.board.end();
		} else ctx.clearRect(0, 0, camera.width, camera.height);
		for (const { of, share } of things) {
			if (of.count === 0) continue;
			if (of.numbers[8] === shapes.ring) this.rings(camera, middle, of);
			else this.fill(camera, middle, halo, of, share, left.get(of));
		}
	}

	/** Draws those of the given places in the things, or all. */
	private fill(camera: Camera, middle: [number, number], halo: string, of: Things, share: number, which?: number[]): void {
		const { context: ctx } = this;
		const paths = new Map<number, Path2D>();
		const rims = new Path2D();
		if (which) for (const k of which) this.trace(camera, middle, of, k * stride, share, paths, rims);
		else for (let k = 0; k < of.count; k++) this.trace(camera, middle, of, k * stride, share, paths, rims);
		ctx.strokeStyle = halo;
		ctx.lineWidth = 2;
		ctx.lineJoin = "round";
		ctx.stroke(rims);
		for (const [colour, path] of paths) {
			ctx.fillStyle = unpacked(colour);
			ctx.fill(path);
		}
	}

	/** They have the same size at all scales. */
	private rings(camera: Camera, middle: [number, number], of: Things): void {
		const { context: ctx } = this;
		ctx.lineWidth = 2;
		for (let k = 0, at = 0; k < of.count; k++, at += stride) {
			const x = (of.numbers[at]! + middle[0] - camera.x) * camera.scale + camera.width / 2;
			const y = camera.height / 2 - (of.numbers[at + 1]! + middle[1] - camera.y) * camera.scale;
			ctx.strokeStyle = unpacked(of.colours[at + 9]!);
			ctx.beginPath();
			ctx.arc(x, y, of.numbers[at + 6]! / 2, 0, 2 * Math.PI);
			ctx.stroke();
		}
	}

	private trace(camera: Camera, middle: [number, number], of: Things, at: number, share: number, paths: Map<number, Path2D>, rims: Path2D): void {
		const n = of.numbers;
		const { scale } = camera;
		const x = (n[at]! + share * n[at + 2]! + middle[0] - camera.x) * scale + camera.width / 2;
		const y = camera.height / 2 - (n[at + 1]! + share * n[at + 3]! + middle[1] - camera.y) * scale;
		const shape = n[at + 8]!;
		const line = shape === shapes.line;
		const length = Math.max(n[at + 6]! * scale, line ? 2 : leastLength(scale));
		if (x < -length || y < -length || x > camera.width + length || y > camera.height + length) return;
		const half = Math.max(n[at + 7]! * scale, line ? 2 : leastWidth) / 2;
		const colour = of.colours[at + 9]!;
		let path = paths.get(colour);
		if (!path) paths.set(colour, (path = new Path2D()));
		const a = ((n[at + 4]! + share * n[at + 5]!) * Math.PI) / 180;
		const [fx, fy] = [Math.sin(a), -Math.cos(a)];
		const outline = (to: Path2D) => {
			if (shape === shapes.pedestrian) {
				to.moveTo(x + half, y);
				to.arc(x, y, half, 0, 2 * Math.PI);
				return;
			}
			const [cx, cy] = line ? [x + (fx * length) / 2, y + (fy * length) / 2] : [x, y];
			const nose = line ? half : half < 3 || shape === shapes.bicycle ? half * 0.2 : half * 0.75;
			to.moveTo(cx - fy * nose, cy + fx * nose);
			to.lineTo(cx + fy * nose, cy - fx * nose);
			to.lineTo(cx - fx * length + fy * half, cy - fy * length - fx * half);
			to.lineTo(cx - fx * length - fy * half, cy - fy * length + fx * half);
			to.closePath();
		};
		outline(path);
		if (!line) outline(rims);
	}
}

// Which part of the plane is on the screen. The net's y grows upwards, the screen's downwards.
import type { Box } from "./network";

export class Camera {
	x = 0; // metres, at the middle of the screen
	y = 0;
	scale = 1; // pixels for a metre
	width = 1; // pixels
	height = 1;
	private least = 0;

	/** A road's lane fills a good part of the screen then; nothing is to be seen beyond. */
	private static readonly most = 40;
	private static readonly margin = 24; // pixels round the whole net

	fit(box: Box): void {
		const roomX = Math.max(1, this.width - 2 * Camera.margin);
		const roomY = Math.max(1, this.height - 2 * Camera.margin);
		this.x = (box.minX + box.maxX) / 2;
		this.y = (box.minY + box.maxY) / 2;
		this.scale = Math.min(Camera.most, roomX / Math.max(1, box.maxX - box.minX), roomY / Math.max(1, box.maxY - box.minY));
		this.least = Math.min(this.least || Infinity, this.scale / 4);
	}

	/** Zooms so that the place under a point of the screen stays there. */
	zoom(factor: number, sx = this.width / 2, sy = this.height / 2): void {
		const [x, y] = this.place(sx, sy);
		this.scale = Math.max(this.least, Math.min(Camera.most, this.scale * factor));
		this.x = x - (sx - this.width / 2) / this.scale;
		this.y = y + (sy - this.height / 2) / this.scale;
	}

	pan(dx: number, dy: number): void {
		this.x -= dx / this.scale;
		this.y += dy / this.scale;
	}

	place(sx: number, sy: number): [x: number, y: number] {
		return [this.x + (sx - this.width / 2) / this.scale, this.y - (sy - this.height / 2) / this.scale];
	}

	/** Where a picture that was taken before has to be put, and how enlarged, to fit what is seen now. */
	since(before: Camera): { x: number; y: number; scale: number } {
		const scale = this.scale / before.scale;
		return {
			x: ((1 - scale) * this.width) / 2 + (before.x - this.x) * this.scale,
			y: ((1 - scale) * this.height) / 2 - (before.y - this.y) * this.scale,
			scale,
		};
	}

	/** What can be seen, and a little round it for lines that are wide. */
	view(): Box {
		const dx = (this.width / 2 + 20) / this.scale;
		const dy = (this.height / 2 + 20) / this.scale;
		return { minX: this.x - dx, minY: this.y - dy, maxX: this.x + dx, maxY: this.y + dy };
	}
}

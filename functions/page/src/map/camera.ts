// The visible part of the plane. The network's y axis points up, the screen's down.
import type { Box } from "./network";

export class Camera {
	x = 0; // metres, at the middle of the screen
	y = 0;
	scale = 1; // pixels per metre
	width = 1; // pixels
	height = 1;
	private least = 0;

	/** A lane then fills a good part of the screen; zooming further shows nothing new. */
	private static readonly most = 40;
	private static readonly margin = 24; // pixels around the whole network

	fit(box: Box): void {
		const roomX = Math.max(1, this.width - 2 * Camera.margin);
		const roomY = Math.max(1, this.height - 2 * Camera.margin);
		this.x = (box.minX + box.maxX) / 2;
		this.y = (box.minY + box.maxY) / 2;
		this.scale = Math.min(Camera.most, roomX / Math.max(1, box.maxX - box.minX), roomY / Math.max(1, box.maxY - box.minY));
		this.least = Math.min(this.least || Infinity, this.scale / 4);
	}

	/** Shows a place at a scale, as another camera did. */
	show(x: number, y: number, scale: number): void {
		this.x = x;
		this.y = y;
		this.scale = Math.max(this.least, Math.min(Camera.most, scale));
	}

	/** Zooms around a point of the screen, which stays in place. */
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

	/** The offset and scale that fit a picture drawn with an earlier camera to this one. */
	since(before: Camera): { x: number; y: number; scale: number } {
		const scale = this.scale / before.scale;
		return {
			x: ((1 - scale) * this.width) / 2 + (before.x - this.x) * this.scale,
			y: ((1 - scale) * this.height) / 2 - (before.y - this.y) * this.scale,
			scale,
		};
	}

	/** The visible area, with a margin for wide lines. */
	view(): Box {
		const dx = (this.width / 2 + 20) / this.scale;
		const dy = (this.height / 2 + 20) / this.scale;
		return { minX: this.x - dx, minY: this.y - dy, maxX: this.x + dx, maxY: this.y + dy };
	}
}

/** Places a canvas that was drawn with another camera as since says. */
export const placed = (canvas: HTMLCanvasElement, { x, y, scale }: ReturnType<Camera["since"]>): void => {
	canvas.style.transform = x === 0 && y === 0 && scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
};

/** A camera that one or several maps look through: what moves it for one moves it for all. */
export class View {
	readonly camera = new Camera();
	/** Called after the camera has moved. */
	readonly watchers = new Set<() => void>();
	/** Where to begin, instead of with the whole network. */
	begin: [x: number, y: number, scale: number] | undefined;

	moved(): void {
		for (const watch of this.watchers) watch();
	}
}

// Draws small things by copying pixels that were computed before. Filling paths takes ten times as long where there is no graphics card.
import type { Camera } from "../map/camera";
import { shapes, stride, type Things } from "./scene";

const angles = 64; // in which things are drawn
const phases = 3; // places within a pixel, in each direction, so that slow things do not jump
const longest = 96; // pixels of the canvas; what is longer is drawn otherwise
const margin = longest; // pixels around the canvas, so that no copy has to be cut at its edges
const most = 20_000; // sprites, some 10 MB

/** Where the pixels of a sprite are from its middle, and what they are. */
type Sprite = { offsets: Int32Array; pixels: Uint32Array };

/** How a thing looks, in pixels of the canvas: the rim is around it. */
type Form = { length: number; width: number; rim: number; shape: number };

export class SpriteBoard {
	private image: ImageData | undefined;
	private words = new Uint32Array(0);
	private sprites = new Map<number, Sprite>();
	private colours = new Map<number, number>();
	private halo = "";

	constructor(private readonly context: CanvasRenderingContext2D) {}

	/** Clears the canvas for another drawing. */
	begin(halo: string): void {
		const { width, height } = this.context.canvas;
		const [w, h] = [width + 2 * margin, height + 2 * margin];
		if (this.image?.width !== w || this.image.height !== h) {
			this.image = new ImageData(w, h);
			this.words = new Uint32Array(this.image.data.buffer);
			this.sprites.clear();
		} else this.words.fill(0);
		if (halo !== this.halo || this.sprites.size > most) {
			this.sprites.clear();
			this.colours.clear();
			this.halo = halo;
		}
	}

	/** Draws all but the things that it returns, which are too long. */
	draw(camera: Camera, middle: [number, number], ratio: number, of: Things, share: number, leastLength: number, leastWidth: number): number[] {
		const { words } = this;
		const { width, height } = this.context.canvas;
		const row = width + 2 * margin;
		const n = of.numbers;
		const scale = camera.scale * ratio;
		const [cx, cy] = [width / 2 - (camera.x - middle[0]) * scale, height / 2 + (camera.y - middle[1]) * scale];
		const left: number[] = [];
		for (let k = 0, at = 0; k < of.count; k++, at += stride) {
			const shape = n[at + 8]!;
			const line = shape === shapes.line;
			const length = Math.round(Math.max(n[at + 6]! * scale, (line ? 2 : shape === shapes.pedestrian ? leastWidth : leastLength) * ratio));
			const wide = Math.round(Math.max(n[at + 7]! * scale, (line ? 2 : leastWidth) * ratio));
			const turn = ((n[at + 4]! + share * n[at + 5]!) * angles) / 360;
			const angle = ((Math.round(turn) % angles) + angles) % angles;
			const a = (angle * 2 * Math.PI) / angles;
			// x and y are of the front, except of lines and persons.
			const back = shape > shapes.bicycle ? 0 : length / 2;
			const x = cx + (n[at]! + share * n[at + 2]!) * scale - back * Math.sin(a);
			const y = cy - (n[at + 1]! + share * n[at + 3]!) * scale + back * Math.cos(a);
			const reach = (Math.max(length, wide) >> 1) + 2 * ratio + 2;
			if (x < -reach || y < -reach || x > width + reach || y > height + reach) continue;
			if (reach > longest / 2) {
				left.push(k);
				continue;
			}
			const [px, py] = [Math.floor(x), Math.floor(y)];
			const phase = Math.floor((x - px) * phases) * phases + Math.floor((y - py) * phases);
			const kind = shape === shapes.pedestrian ? 1 : line ? 2 : 0;
			const key = ((((this.numberOf(of.colours[at + 9]!) * 3 + kind) * longest + length) * longest + wide) * angles + angle) * phases * phases + phase;
			let sprite = this.sprites.get(key);
			if (!sprite) {
				sprite = this.make({ length, width: wide, rim: line ? 0 : ratio, shape }, of.colours[at + 9]!, a, (Math.floor(phase / phases) + 0.5) / phases, ((phase % phases) + 0.5) / phases, row);
				this.sprites.set(key, sprite);
			}
			const { offsets, pixels } = sprite;
			const to = (py + margin) * row + px + margin;
			for (let i = 0; i < offsets.length; i++) {
				const pixel = pixels[i]!;
				const place = to + offsets[i]!;
				// A pixel at a rim does not make a hole in what is below.
				if (pixel >>> 24 > 200 || words[place] === 0) words[place] = pixel;
			}
		}
		return left;
	}

	/** Shows what was drawn. */
	end(): void {
		this.context.putImageData(this.image!, -margin, -margin);
	}

	private numberOf(colour: number): number {
		let number = this.colours.get(colour);
		if (number === undefined) this.colours.set(colour, (number = this.colours.size));
		return number;
	}

	/** The middle is dx and dy to the right of and below a pixel's upper left corner. */
	private make({ length, width, rim, shape }: Form, colour: number, angle: number, dx: number, dy: number, row: number): Sprite {
		const n = Number.parseInt(this.halo.slice(1), 16);
		const halo = [n >> 16, (n >> 8) & 255, n & 255];
		const body = [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
		const [halfLength, halfWidth] = [length / 2, width / 2];
		const reach = Math.ceil(Math.max(halfLength, halfWidth) + rim + 1);
		const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
		const offsets: number[] = [];
		const pixels: number[] = [];
		for (let y = -reach; y <= reach; y++) {
			for (let x = -reach; x <= reach; x++) {
				const [px, py] = [x + 0.5 - dx, y + 0.5 - dy];
				const along = px * sin - py * cos;
				const across = Math.abs(px * cos + py * sin);
				// From far a vehicle is an arrow that shows where it goes.
				const wide = halfWidth * (shape === shapes.line ? 1 : 0.25 + 0.75 * Math.min(1, (halfLength - along) / (4 * halfWidth)));
				const d = shape === shapes.pedestrian ? Math.hypot(px, py) - halfWidth : Math.max(across - wide, Math.abs(along) - halfLength);
				const seen = Math.min(1, Math.max(0, 0.5 + rim - d));
				if (seen < 0.05) continue;
				const inside = Math.min(1, Math.max(0, 0.5 - d));
				const [r, g, b] = body.map((c, i) => Math.round(halo[i]! + (c - halo[i]!) * inside)) as [number, number, number];
				offsets.push(y * row + x);
				pixels.push(((Math.round(255 * seen) << 24) | (b << 16) | (g << 8) | r) >>> 0);
			}
		}
		return { offsets: Int32Array.from(offsets), pixels: Uint32Array.from(pixels) };
	}
}

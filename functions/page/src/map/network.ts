// The road network as arrays of numbers, which are fast to draw and to search.
import Flatbush from "flatbush";
import type { Got } from "../api";

type NetworkAnswer = Got<"/jobs/{id}/network">;
export type Edge = NetworkAnswer["edges"][number];
export type Box = { minX: number; minY: number; maxX: number; maxY: number };

function boxAround(points: ArrayLike<number>, from: number, to: number): Box {
	const box = { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
	for (let k = from; k < to; k += 2) {
		box.minX = Math.min(box.minX, points[k]!);
		box.maxX = Math.max(box.maxX, points[k]!);
		box.minY = Math.min(box.minY, points[k + 1]!);
		box.maxY = Math.max(box.maxY, points[k + 1]!);
	}
	return box;
}

function indexOf(count: number, boxOf: (i: number) => Box): Flatbush | undefined {
	if (count === 0) return undefined; // Flatbush rejects an empty index
	const index = new Flatbush(count);
	for (let i = 0; i < count; i++) {
		const b = boxOf(i);
		index.add(b.minX, b.minY, b.maxX, b.maxY);
	}
	index.finish();
	return index;
}

export class Network {
	readonly edges: Edge[];
	readonly bounds: Box;
	/** x, y of all edges' points, concatenated; edge i has starts[i] up to starts[i + 1]. */
	readonly points: Float64Array;
	readonly starts: Uint32Array;
	/** For each point, the unit vector to the right of the direction of travel. */
	readonly right: Float32Array;
	readonly number = new Map<string, number>();
	/** Outlines of the junctions that have one, as x, y pairs. */
	readonly areas: number[][];
	/** The middles of all junctions, by id. */
	readonly junctions: Map<string, [x: number, y: number]>;
	readonly stopLines: NetworkAnswer["stop_lines"];
	/** Lower layers first. */
	readonly polygons: NetworkAnswer["polygons"];
	private readonly index: Flatbush | undefined;
	private readonly areaIndex: Flatbush | undefined;
	private readonly polygonIndex: Flatbush | undefined;

	constructor(answer: NetworkAnswer) {
		this.edges = answer.edges;
		const [minX = 0, minY = 0, maxX = 0, maxY = 0] = answer.bounds;
		this.bounds = { minX, minY, maxX, maxY };
		const count = this.edges.length;
		this.starts = new Uint32Array(count + 1);
		this.edges.forEach((e, i) => {
			this.starts[i + 1] = this.starts[i]! + (e.shape.length & ~1);
			this.number.set(e.id, i);
		});
		this.points = new Float64Array(this.starts[count]!);
		this.right = new Float32Array(this.starts[count]!);
		this.edges.forEach((e, i) => this.points.set(e.shape.slice(0, e.shape.length & ~1), this.starts[i]));
		for (let i = 0; i < count; i++) this.setRight(this.starts[i]!, this.starts[i + 1]!);
		this.areas = answer.junctions.flatMap((j) => (j.shape ? [j.shape] : []));
		this.junctions = new Map(answer.junctions.map((j) => [j.id, [j.x, j.y]]));
		this.stopLines = answer.stop_lines;
		this.polygons = answer.polygons;
		this.polygonIndex = indexOf(this.polygons.length, (i) => boxAround(this.polygons[i]!.shape, 0, this.polygons[i]!.shape.length));
		this.index = indexOf(count, (i) => this.boxOf(i));
		this.areaIndex = indexOf(this.areas.length, (i) => boxAround(this.areas[i]!, 0, this.areas[i]!.length));
	}

	/** Sets right for a range of points, from the mean direction of the two segments at each. */
	private setRight(from: number, to: number): void {
		for (let k = from; k < to; k += 2) {
			const a = Math.max(from, k - 2);
			const b = Math.min(to - 2, k + 2);
			const dx = this.points[b]! - this.points[a]!;
			const dy = this.points[b + 1]! - this.points[a + 1]!;
			const length = Math.hypot(dx, dy) || 1;
			this.right[k] = dy / length;
			this.right[k + 1] = -dx / length;
		}
	}

	boxOf = (i: number): Box => boxAround(this.points, this.starts[i]!, this.starts[i + 1]!);

	within(box: Box): number[] {
		return this.index?.search(box.minX, box.minY, box.maxX, box.maxY) ?? [];
	}

	areasWithin(box: Box): number[] {
		return this.areaIndex?.search(box.minX, box.minY, box.maxX, box.maxY) ?? [];
	}

	polygonsWithin(box: Box): number[] {
		return (this.polygonIndex?.search(box.minX, box.minY, box.maxX, box.maxY) ?? []).sort((a, b) => a - b);
	}

	/** The edge nearest to a place, if one is within reach. */
	nearest(x: number, y: number, reach: number): number | undefined {
		let best: number | undefined;
		let least = reach;
		for (const i of this.within({ minX: x - reach, minY: y - reach, maxX: x + reach, maxY: y + reach })) {
			const d = this.distance(i, x, y);
			if (d < least) [best, least] = [i, d];
		}
		return best;
	}

	private distance(i: number, x: number, y: number): number {
		let least = Infinity;
		const p = this.points;
		for (let k = this.starts[i]! + 2; k < this.starts[i + 1]!; k += 2) {
			const ax = p[k - 2]!;
			const ay = p[k - 1]!;
			const dx = p[k]! - ax;
			const dy = p[k + 1]! - ay;
			const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
			least = Math.min(least, Math.hypot(x - ax - along * dx, y - ay - along * dy));
		}
		return least;
	}
}

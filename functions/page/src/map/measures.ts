// What the map shows of each edge: facts of the network, and the run's measurements by interval.
import type { Got } from "../api";
import type { Network } from "./network";
import { classOf, none, roundTop, type Scale } from "./scale";

export type EdgeData = Got<"/jobs/{id}/edgedata">;

export type Measure = {
	name: string;
	label: string;
	unit: string;
	scale: Scale;
	measured: boolean; // false for facts of the network, which do not change over time
	/** The value of each of the network's edges in an interval. */
	values: (interval: number) => (number | null | undefined)[];
};

const labels: Record<string, string> = {
	speed: "Speed",
	density: "Density",
	occupancy: "Occupancy",
	waiting_time: "Waiting time",
	entered: "Vehicles entered",
	traveltime: "Travel time",
};

const kmh = 3.6; // for one m/s

/** No colours: what moves over the edges then stands out. */
export const plain: Measure = { name: "plain", label: "Nothing", unit: "", measured: false, scale: { low: 0, high: 1, highIsBad: false }, values: () => [] };

export function measuresOf(network: Network, data: EdgeData | undefined): Measure[] {
	const limits = network.edges.map((e) => e.speed * kmh);
	const limit: Measure = {
		name: "limit", label: "Speed limit", unit: "km/h", measured: false,
		scale: { low: 0, high: roundTop(limits), highIsBad: false }, values: () => limits,
	};
	if (!data || data.intervals.length === 0) return [limit, plain];
	const place = data.edges.map((id) => network.number.get(id));
	/** The values of one interval in the network's order. */
	const spread = (of: (number | null)[], change: (v: number, edge: number) => number) => {
		const out: (number | null)[] = new Array(network.edges.length).fill(null);
		place.forEach((edge, k) => {
			const v = of[k];
			if (edge !== undefined && v != null) out[edge] = change(v, edge);
		});
		return out;
	};
	const measured = data.measures.map((m): Measure => {
		const isSpeed = m.unit === "m/s";
		const all = m.values.map((v) => spread(v, (x) => (isSpeed ? x * kmh : x)));
		return {
			name: m.name, label: labels[m.name] ?? m.name, unit: isSpeed ? "km/h" : m.unit, measured: true,
			// One scale for all times, so that two moments can be compared.
			scale: isSpeed ? limit.scale : { low: 0, high: roundTop(all.flat()), highIsBad: m.name !== "entered" },
			values: (interval) => all[interval] ?? [],
		};
	});
	const speed = data.measures.find((m) => m.name === "speed");
	if (speed) {
		const all = speed.values.map((v) => spread(v, (x, edge) => (100 * x) / network.edges[edge]!.speed));
		measured.splice(1, 0, {
			name: "relative_speed", label: "Speed against limit", unit: "%", measured: true,
			scale: { low: 0, high: 100, highIsBad: false }, values: (interval) => all[interval] ?? [],
		});
	}
	return [...measured, limit, plain];
}

export function classesOf(measure: Measure, interval: number, count: number): Uint8Array {
	const out = new Uint8Array(count).fill(none);
	measure.values(interval).forEach((v, i) => (out[i] = classOf(v, measure.scale)));
	return out;
}

/** The interval that contains a moment. */
export function intervalAt(data: EdgeData | undefined, time: number): number {
	if (!data) return 0;
	const i = data.intervals.findIndex(([, end]) => time < end!);
	return i < 0 ? Math.max(0, data.intervals.length - 1) : i;
}

// The trips of a run that has ended, from its table: figures of one, and where each of them led.
import { get, type Got, Problem } from "../api";
import { edgeOfLane } from "./lead";

type Row = Got<"/jobs/{id}/tables/{name}">["rows"][number];

const rowsOf = async (job: string, columns: string[], signal: AbortSignal, span?: [from: number, to: number]): Promise<Row[]> => {
	const wanted = new URLSearchParams({ format: "json", columns: columns.join() });
	if (span) {
		wanted.set("from", String(span[0]));
		wanted.set("to", String(span[1]));
	}
	return (await get<"/jobs/{id}/tables/{name}">(`/jobs/${job}/tables/tripinfo?${wanted}`, signal)).rows ?? [];
};

/** Figures of a trip in SUMO's words: https://sumo.dlr.de/docs/Simulation/Output/TripInfo.html */
export const figures = ["depart", "arrival", "duration", "timeLoss", "waitingTime", "routeLength"] as const;
export type Trip = Partial<Record<(typeof figures)[number], unknown>>;

const recent = 1200; // seconds: most trips are shorter

/** The trip of a vehicle that is on the road at a time, or undefined if the table lacks it. */
export async function tripOf(job: string, vehicle: string, time: number, signal: AbortSignal): Promise<Trip | undefined> {
	// Rows cannot be asked for by id, but by departure: those of shortly before are a small part of a long run's.
	for (const span of [[time - recent, time + 1] as [number, number], undefined]) {
		try {
			const found = (await rowsOf(job, ["id", ...figures], signal, span)).find((row) => row.id === vehicle);
			if (found) return found;
		} catch (error) {
			// Departures that are not numbers, as with human-readable-time, bound nothing.
			if (!span || !(error instanceof Problem && error.status === 422)) throw error;
		}
	}
	return undefined;
}

/** Where trips begin and end: those of the same two edges are a pair. */
export type Pairs = {
	/** The pair of each vehicle, as a place in list. */
	of: Map<string, number>;
	/** With the most frequent first. */
	list: { from: string; to: string; count: number }[];
};

export const loadPairs = async (job: string, signal: AbortSignal): Promise<Pairs> => pairsOf(await rowsOf(job, ["id", "departLane", "arrivalLane"], signal));

export function pairsOf(rows: Row[]): Pairs {
	const known = new Map<string, { from: string; to: string; vehicles: string[] }>();
	for (const { id, departLane, arrivalLane } of rows) {
		// A vehicle that has not arrived has no destination yet.
		if (typeof id !== "string" || typeof departLane !== "string" || typeof arrivalLane !== "string" || !departLane || !arrivalLane) continue;
		const [from, to] = [edgeOfLane(departLane), edgeOfLane(arrivalLane)];
		const key = `${from}\n${to}`;
		const pair = known.get(key);
		if (pair) pair.vehicles.push(id);
		else known.set(key, { from, to, vehicles: [id] });
	}
	const sorted = [...known.values()].sort((a, b) => b.vehicles.length - a.vehicles.length || (a.from + a.to < b.from + b.to ? -1 : 1));
	const of = new Map<string, number>();
	sorted.forEach(({ vehicles }, n) => vehicles.forEach((id) => of.set(id, n)));
	return { of, list: sorted.map(({ from, to, vehicles }) => ({ from, to, count: vehicles.length })) };
}

/** The pairs of another run in the places that the first has for them, so that both have the same colours. */
export function placedAs(first: Pairs, other: Pairs): Pairs {
	const keyOf = ({ from, to }: Pairs["list"][number]) => `${from}\n${to}`;
	const places = new Map(first.list.map((pair, n) => [keyOf(pair), n]));
	const list = [...first.list];
	const place = other.list.map((pair) => places.get(keyOf(pair)) ?? list.push(pair) - 1);
	return { of: new Map([...other.of].map(([id, n]) => [id, place[n]!])), list };
}

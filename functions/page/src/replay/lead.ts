// Lines of SUMO that say when and where something happened lead to that moment on the map.
import { linkTo } from "../route";

export type Lead = { time: number; vehicle?: string; edge?: string; lane?: string; junction?: string };

// SUMO writes times in seconds or, with human-readable-time, as [days:]hours:minutes:seconds.
const time = /\btime[= ](-?\d+(?::\d+){0,3}(?:\.\d+)?)/i;
const named = (kinds: string): RegExp => new RegExp(`\\b(?:${kinds})(?: |=| id=)'([^']+)'`, "i");
const vehicle = named("vehicle|person|container");
const lane = named("lane");
const edge = named("edge");
const junction = named("junction|node|tlLogic|traffic light");

/** When and where something happened, if a line names both. */
export function leadOf(line: string): Lead | undefined {
	const at = time.exec(line);
	if (!at) return undefined;
	const [seconds = 0, minutes = 0, hours = 0, days = 0] = at[1]!.split(":").map(Number).reverse();
	const lead: Lead = { time: ((days * 24 + hours) * 60 + minutes) * 60 + seconds };
	for (const [kind, pattern] of Object.entries({ vehicle, lane, edge, junction })) {
		const found = pattern.exec(line)?.[1];
		if (found) lead[kind as "vehicle"] = found;
	}
	return lead.vehicle || lead.lane || lead.edge || lead.junction ? lead : undefined;
}

/** The address of that moment on a job's map. */
export function linkToLead(job: string, lead: Lead): string {
	const details = new URLSearchParams({ t: String(lead.time) });
	for (const kind of ["vehicle", "lane", "edge", "junction"] as const) if (lead[kind]) details.set(kind, lead[kind]);
	return `${linkTo("jobs", job, "map")}?${details}`;
}

/** The edge of a lane; that of a lane inside a junction has none on the map. */
export const edgeOfLane = (id: string): string => id.replace(/_\d+$/, "");

/** The junction that an edge lies inside. */
export const junctionOf = (edgeId: string): string | undefined => /^:(.+)_[cw]?\d+$/.exec(edgeId)?.[1];

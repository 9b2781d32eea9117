// The form of a new study as text, and the request that it makes.
import type { Fault, Schemas } from "../api";
import { type ControllerDraft, controllerOf } from "../controller";

export type Plan = Schemas["Plan"];
export type CreateStudy = Schemas["CreateStudyBody"];

/** Fields of a run that an axis may set, as the service names them. */
export const axisFields = ["scale", "begin", "end", "step_length", "sumo_version", "config_file", "unfinished_trips"];
/** Fields whose values are text, even if they look like numbers. */
const textFields = new Set(["sumo_version", "config_file"]);

export type AxisKind = "field" | "option" | "arg" | "xml";
export type AxisDraft = { name: string; kind: AxisKind; target: string; values: string };
export type VariantDraft = { name: string; scenario: string };

export type Draft = {
	name: string;
	variants: VariantDraft[];
	axes: AxisDraft[];
	combine: "product" | "zip";
	how: "seeds" | "until";
	seeds: string;
	aim: string; // per cent
	min: string;
	max: string;
	of: "mean" | "difference";
	baseline: string; // a variant's name, or empty where variants are matched
	fixed: string[]; // for each axis the JSON of the baseline's value, or empty where the axis is matched
	metrics: string[];
	maxParallel: string;
	stopShare: string; // per cent
	begin: string;
	end: string;
	timeout: string;
	edgedata: boolean;
	replay: boolean;
	cache: "" | "refresh" | "off"; // empty to use it
	controller: ControllerDraft; // without a file, SUMO runs alone
};

export const blank: Draft = {
	name: "", variants: [{ name: "base", scenario: "" }], axes: [], combine: "product", how: "seeds", seeds: "1:10", aim: "5", min: "5", max: "30", of: "mean",
	baseline: "", fixed: [], metrics: ["mean_time_loss", "mean_travel_time"], maxParallel: "", stopShare: "", begin: "", end: "", timeout: "", edgedata: true, replay: false, cache: "",
	controller: { file: "", interface: "traci", args: "" },
};

export const blankAxis = (): AxisDraft => ({ name: "demand", kind: "field", target: "scale", values: "0.8, 1, 1.2" });

/** Comma-separated values: numbers, true, false, or text, which may stand in quotes. */
export function valuesOf(text: string, asText = false): (number | boolean | string)[] {
	const parts = text.match(/"(?:[^"\\]|\\.)*"|[^\s,][^,]*/g) ?? [];
	return parts.map((part) => {
		const p = part.trim();
		if (p.startsWith('"')) {
			try {
				return JSON.parse(p) as string;
			} catch {
				return p; // with an escape that JSON does not have
			}
		}
		if (asText) return p;
		if (p === "true" || p === "false") return p === "true";
		return Number.isFinite(Number(p)) ? Number(p) : p;
	});
}

/** A range stays text; a list becomes numbers. */
export function seedsOf(text: string): string | number[] {
	const parts = text.split(/[\s,]+/).filter(Boolean);
	return parts.length > 0 && parts.every((p) => /^\d+$/.test(p)) ? parts.map(Number) : text.trim();
}

/** Seeds as ranges: 1 to 10, 12. */
export function seedText(seeds: number[]): string {
	const ranges: [number, number][] = [];
	for (const s of seeds) {
		const last = ranges.at(-1);
		if (last && s === last[1] + 1) last[1] = s;
		else ranges.push([s, s]);
	}
	return ranges.map(([a, b]) => (a === b ? String(a) : `${a} to ${b}`)).join(", ");
}

const share = (percent: string): number => Number((Number(percent.replace(",", ".")) / 100).toPrecision(12));

export const setOf = (a: AxisDraft): string => (a.kind === "field" ? a.target : `${a.kind}:${a.target.trim()}`);

/** The aim of a sequential study. What the user left empty is left out. */
export function aimOf(d: { aim: string; min?: string; max: string; of?: "mean" | "difference" }): Schemas["Aim"] {
	return {
		relative_half_width: share(d.aim),
		max: Number(d.max),
		...(d.min && { min: Number(d.min) }),
		...(d.of === "difference" && { of: d.of }),
	};
}

export const valuesOfAxis = (a: AxisDraft): (number | boolean | string)[] => valuesOf(a.values, a.kind === "field" && textFields.has(a.target));

/** What points are compared with, if the form names anything. */
function baselineOf(d: Draft): Schemas["Baseline"] | undefined {
	const values: Record<string, unknown> = {};
	d.axes.forEach((a, i) => {
		const value = valuesOfAxis(a).find((v) => JSON.stringify(v) === d.fixed[i]);
		if (value !== undefined) values[a.name.trim()] = value;
	});
	const named = Object.keys(values).length > 0;
	return d.baseline || named ? { ...(d.baseline && { variant: d.baseline }), ...(named && { values }) } : undefined;
}

/** The request, with numbers where the user wrote some; what is no number stays for the service to judge. */
export function requestOf(d: Draft, dryRun: boolean): CreateStudy {
	const numeric = (text: string): number | string => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text.trim());
	const run: Record<string, unknown> = {};
	if (d.begin.trim()) run.begin = numeric(d.begin);
	if (d.end.trim()) run.end = numeric(d.end);
	if (d.timeout.trim()) run.timeout_seconds = numeric(d.timeout);
	if (d.edgedata) run.outputs = ["edgedata"];
	if (d.replay) run.replay = true;
	if (d.controller.file.trim()) run.controller = controllerOf(d.controller);
	const baseline = baselineOf(d);
	return {
		name: d.name.trim() || (dryRun ? "study" : ""),
		variants: d.variants.map((v) => ({ name: v.name.trim(), scenario: v.scenario })),
		...(d.axes.length > 0 && {
			axes: d.axes.map((a) => ({ name: a.name.trim(), set: setOf(a), values: valuesOfAxis(a) })),
			combine: d.combine,
		}),
		...(baseline && { baseline }),
		replications: d.how === "seeds" ? { seeds: seedsOf(d.seeds) } : { until: aimOf(d) },
		...(d.metrics.length > 0 && { metrics: d.metrics }),
		...(d.maxParallel.trim() && { max_parallel: numeric(d.maxParallel) as number }),
		...(d.stopShare.trim() && { on_failure: { stop_share: share(d.stopShare) } }),
		...(d.cache && { cache: d.cache }),
		...(Object.keys(run).length > 0 && { run: run as Schemas["StudyRun"] }),
		...(dryRun && { dry_run: true }),
	};
}

/** What is missing before the service can judge the rest; empty if nothing is. */
export function missing(d: Draft): string {
	if (d.variants.some((v) => v.scenario === "")) return "Choose a scenario for each variant.";
	if (d.variants.some((v) => v.name.trim() === "")) return "Name each variant.";
	if (d.axes.some((a) => a.name.trim() === "" || a.target.trim() === "" || valuesOf(a.values).length === 0)) return "Give each axis a name, what it sets, and values.";
	if (d.how === "seeds" ? d.seeds.trim() === "" : d.aim.trim() === "" || d.max.trim() === "") return "Say how often each point runs.";
	return "";
}

/** The faults of a field and of what lies within it, as one sentence each. */
export function faultAt(faults: Fault[], location: string): string | undefined {
	const own = faults.filter((f) => isAt(f, location));
	return own.length > 0 ? own.map((f) => f.message).join("; ") : undefined;
}

export const isAt = (f: Fault, location: string): boolean => {
	const at = f.location ?? "";
	return at === location || at.startsWith(`${location}.`) || at.startsWith(`${location}[`);
};

// The plots of one job, or of several overlaid.
import { useState } from "preact/hooks";
import { download, get, type Got, type Job, Problem } from "../api";
import { Chart } from "../chart";
import { duration, inline, number, quantity, whole } from "../format";
import { isPassing, useLoad } from "../load";
import { Action, Card, Loading, ProblemNotice, Scroll } from "../parts";
import { theme } from "../theme";

type Series = Got<"/jobs/{id}/series">;
type Distributions = Got<"/jobs/{id}/distributions">;

/** A distribution with trips, and therefore with all its numbers. */
type Distribution = { name: string; label: string; unit: string; count: number; mean: number; p50: number; p90: number; p95: number; max: number; edges: number[]; counts: number[] };

function withTrips(d: Distributions | undefined): Distribution[] {
	return ((d?.distributions ?? []).filter((x) => x.count > 0) as Distribution[]).map(inRoadUnits);
}

const kmh = 3.6; // for one m/s

/** Speeds in the unit of road signs, km/h. */
function inRoadUnits(d: Distribution): Distribution {
	if (d.unit !== "m/s") return d;
	return { ...d, unit: "km/h", mean: d.mean * kmh, p50: d.p50 * kmh, p90: d.p90 * kmh, p95: d.p95 * kmh, max: d.max * kmh, edges: d.edges.map((e) => e * kmh) };
}

/** Series that share a chart: same unit, best seen together. */
const charts: { title: string; plot?: string; names: string[] }[] = [
	{ title: "Vehicles", plot: "vehicles", names: ["running", "waiting", "halting"] },
	{ title: "Mean speed", plot: "speed", names: ["mean_speed"] },
	{ title: "Travel time and wait to depart", names: ["mean_travel_time", "mean_waiting_time"] },
	{ title: "Vehicles that have entered and arrived", names: ["inserted", "arrived"] },
	{ title: "CO₂ of all vehicles", plot: "emissions", names: ["co2"] },
];

/** Rare events, charted only if any occurred. */
const mishaps = ["teleports", "collisions"];

/** A job with the name of its curves. */
export type Named = { id: string; name: string };

/** Loads the same data for every job; what one lacks does not hide the others. */
function useEach<T>(what: string, jobs: Named[], load: (id: string, signal: AbortSignal) => Promise<T>) {
	return useLoad(`${what} ${jobs.map((j) => j.id).join()}`, async (signal) => {
		const all = await Promise.allSettled(jobs.map((j) => load(j.id, signal)));
		const failed = all.find((r) => r.status === "rejected" && !(r.reason instanceof Problem && !isPassing(r.reason)));
		if (failed?.status === "rejected") throw failed.reason;
		return all.map((r) => (r.status === "fulfilled" ? { data: r.value } : { problem: r.reason as Problem }));
	});
}

export function Plots({ job }: { job: Job }) {
	return <PlotsOf jobs={[{ id: job.job_id, name: job.scenario_id }]} />;
}

export function PlotsOf({ jobs }: { jobs: Named[] }) {
	const series = useEach("series", jobs, (id, signal) => get<"/jobs/{id}/series">(`/jobs/${id}/series`, signal));
	const distributions = useEach("distributions", jobs, (id, signal) => get<"/jobs/{id}/distributions">(`/jobs/${id}/distributions`, signal));
	return (
		<>
			<Missing of={series.data} jobs={jobs} />
			{series.problem && <ProblemNotice problem={series.problem} retry={series.reload} />}
			{series.loading && <Loading what="time series" />}
			{series.data && <OverTime jobs={jobs} loaded={series.data.map((s) => s.data)} />}
			<Missing of={distributions.data} jobs={jobs} />
			{distributions.problem && <ProblemNotice problem={distributions.problem} retry={distributions.reload} />}
			{distributions.loading && <Loading what="distributions" />}
			{distributions.data && <OfTrips jobs={jobs} loaded={distributions.data.map((d) => d.data)} />}
		</>
	);
}

function Missing({ of, jobs }: { of: { problem?: Problem }[] | undefined; jobs: Named[] }) {
	return (
		<>
			{of?.map(
				(r, i) =>
					r.problem && (
						<div class="notice warn" key={i}>
							{jobs.length > 1 && <strong>{jobs[i]!.name}: </strong>}
							{r.problem.message}
						</div>
					),
			)}
		</>
	);
}

function OverTime({ jobs, loaded }: { jobs: Named[]; loaded: (Series | undefined)[] }) {
	const never = mishaps.filter((n) => loaded.some((s) => s?.series.some((x) => x.name === n)) && loaded.every((s) => s?.series.every((x) => x.name !== n || x.max === 0)));
	const known = new Set([...charts.flatMap((c) => c.names), ...never]);
	const others = [...new Set(loaded.flatMap((s) => s?.series.map((x) => x.name) ?? []))].filter((n) => !known.has(n));
	const all = [...charts, ...others.map((n) => ({ title: labelOf(loaded, n), plot: undefined, names: [n] }))];
	return (
		<>
			<div class="columns charts">
				{all.map((c) => (
					<TimeChart key={c.title} title={c.title} plot={c.plot} names={c.names} jobs={jobs} loaded={loaded} />
				))}
			</div>
			{never.length > 0 && <p class="notice">There were no {never.join(" and no ")}.</p>}
		</>
	);
}

const labelOf = (loaded: (Series | undefined)[], name: string): string => loaded.flatMap((s) => s?.series ?? []).find((x) => x.name === name)?.label ?? name;

function TimeChart({ title, plot, names, jobs, loaded }: { title: string; plot?: string; names: string[]; jobs: Named[]; loaded: (Series | undefined)[] }) {
	// Several series of several jobs are unreadable on one chart, so one series is selected.
	const present = names.filter((n) => loaded.some((s) => s?.series.some((x) => x.name === n && x.values.some((v) => v != null))));
	const [chosen, choose] = useState("");
	if (present.length === 0) return null;
	const several = jobs.length > 1;
	const shown = several ? [present.includes(chosen) ? chosen : present[0]!] : present;

	const moments = (s: Series | undefined) => (s?.time ?? []) as number[]; // every step has a time
	const times = several ? [...new Set(loaded.flatMap(moments))].sort((a, b) => a - b) : moments(loaded[0]);
	const place = new Map(times.map((t, i) => [t, i]));
	let unit = "";
	const curves = loaded.flatMap((s, i) =>
		shown.flatMap((n) => {
			const one = s?.series.find((x) => x.name === n);
			if (!one || !s) return [];
			unit = one.unit;
			if (!several) return [{ name: one.label, values: one.values }];
			const values = new Array<number | null>(times.length).fill(null);
			moments(s).forEach((t, k) => (values[place.get(t)!] = one.values[k] ?? null));
			// Runs with other steps have no values in between; the line bridges those gaps and ends with the run.
			return [{ name: jobs[i]!.name, values: bridged(values, times, moments(s).at(-1) ?? 0), hue: i }];
		}),
	);
	const scale = unit === "m/s" ? kmh : 1;
	const shownCurves = scale === 1 ? curves : curves.map((c) => ({ ...c, values: c.values.map((v) => (v == null ? null : v * scale)) }));
	const shownUnit = unit === "m/s" ? "km/h" : unit;
	const ids = jobs.map((j) => j.id);
	return (
		<Card
			title={title}
			beside={
				<>
					{several && present.length > 1 && (
						<select aria-label={`Series of ${title}`} value={shown[0]} onChange={(e) => choose(e.currentTarget.value)}>
							{present.map((n) => (
								<option key={n} value={n}>
									{labelOf(loaded, n)}
								</option>
							))}
						</select>
					)}
					{plot && <SavePlot name={plot} title={title} ids={ids} />}
				</>
			}
		>
			<Chart
				label={`${title} over simulated time. ${shownCurves.map((c) => `${c.name}: at most ${number(Math.max(0, ...c.values.map((v) => v ?? 0)))} ${shownUnit}`).join("; ")}.`}
				x={times}
				xLabel="simulated time"
				unit={shownUnit}
				curves={shownCurves}
				sync="time"
			/>
			{several && <Without names={jobs.filter((_, i) => loaded[i] && !loaded[i]!.series.some((x) => x.name === shown[0])).map((j) => j.name)} />}
			{loaded.some((s) => s && !s.complete) && <p class="small muted">The run stopped early or has not finished: these data are partial.</p>}
		</Card>
	);
}

/** Names the jobs missing from a chart, so that it does not look complete. */
function Without({ names }: { names: string[] }) {
	if (names.length === 0) return null;
	return <p class="small muted">Not shown: {names.join("; ")} (not among the outputs of that run).</p>;
}

/** values, interpolated linearly where only other runs have steps. */
function bridged(values: (number | null)[], times: number[], last: number): (number | null)[] {
	const out = values.slice();
	let from = -1;
	for (let i = 0; i < values.length && times[i]! <= last; i++) {
		const v = values[i];
		if (v == null) continue;
		if (from >= 0) {
			const a = values[from]!;
			for (let k = from + 1; k < i; k++) out[k] = a + ((v - a) * (times[k]! - times[from]!)) / (times[i]! - times[from]!);
		}
		from = i;
	}
	return out;
}

/** Saves the plot as the service draws it for reports. */
function SavePlot({ name, title, ids }: { name: string; title: string; ids: string[] }) {
	const save = (kind: string) => {
		const q = new URLSearchParams({ theme: theme.value });
		if (ids.length > 1) q.set("with", ids.slice(1).join(","));
		return download(`/jobs/${ids[0]}/plots/${name}.${kind}?${q}`, `${name}.${kind}`);
	};
	return (
		<span class="save">
			<Action kind="quiet" label={`Save ${title} as SVG`} act={() => save("svg")}>
				SVG
			</Action>
			<Action kind="quiet" label={`Save ${title} as PNG`} act={() => save("png")}>
				PNG
			</Action>
		</span>
	);
}

const served = new Set(["travel_time", "time_loss", "waiting_time"]);

function OfTrips({ jobs, loaded }: { jobs: Named[]; loaded: (Distributions | undefined)[] }) {
	const all = loaded.map(withTrips);
	const names = [...new Set(all.flatMap((d) => d.map((x) => x.name)))];
	return (
		<div class="columns charts">
			{names.map((n) => (
				<TripChart key={n} name={n} jobs={jobs} of={all.map((d) => d.find((x) => x.name === n))} />
			))}
		</div>
	);
}

function TripChart({ name, jobs, of }: { name: string; jobs: Named[]; of: (Distribution | undefined)[] }) {
	const first = of.find((d) => d !== undefined);
	if (!first) return null;
	const several = jobs.length > 1;
	const label = first.label;
	const chart = several ? cumulative(of, jobs) : histogram(first);
	return (
		<Card title={several ? `${label}: cumulative share of trips` : label} beside={served.has(name) && <SavePlot name={name} title={label} ids={jobs.map((j) => j.id)} />}>
			<Chart
				label={`${label} of ${whole(first.count)} trips: half are below ${quantity(first.p50, first.unit)}, nine in ten below ${quantity(first.p90, first.unit)}.`}
				x={chart.x}
				xLabel={`${inline(label)} (${first.unit})`}
				xKind="number"
				unit={several ? "% of trips" : "trips"}
				curves={chart.curves}
				shape={several ? "line" : "bars"}
			/>
			<Scroll label={`${label}: numbers`}>
				<table class="list narrow">
					<thead>
						<tr>
							{several && <th>Job (numbers in {first.unit})</th>}
							<th class="right">Trips</th>
							<th class="right">Mean</th>
							<th class="right">Median</th>
							<th class="right">90 %</th>
							<th class="right">95 %</th>
							<th class="right">Max</th>
						</tr>
					</thead>
					<tbody>
						{of.map(
							(d, i) =>
								d && (
									<tr key={i}>
										{several && (
											<td>
												<span class={`swatch hue-${i}`} /> {jobs[i]!.name}
											</td>
										)}
										<td class="right figure">{whole(d.count)}</td>
										{[d.mean, d.p50, d.p90, d.p95, d.max].map((v, k) => (
											<td key={k} class="right figure" title={d.unit === "s" ? duration(v) : undefined}>
												{number(v, 4)} {!several && d.unit}
											</td>
										))}
									</tr>
								),
						)}
					</tbody>
				</table>
			</Scroll>
		</Card>
	);
}

/** One bar for each bin; the last edge closes the last bar. */
function histogram(d: Distribution) {
	return { x: d.edges, curves: [{ name: "trips", values: [...d.counts, null] as (number | null)[] }] };
}

/** Bins of different runs do not match, but their cumulative shares can be compared. */
function cumulative(of: (Distribution | undefined)[], jobs: Named[]) {
	const x = [...new Set(of.flatMap((d) => d?.edges ?? []))].sort((a, b) => a - b);
	const curves = of.flatMap((d, i) => {
		if (!d) return [];
		const total = d.counts.reduce((a, b) => a + b, 0);
		let sum = 0;
		const shares = d.edges.map((_, k) => (k === 0 ? 0 : ((sum += d.counts[k - 1]!) / total) * 100));
		const values = x.map((at): number | null => {
			if (at <= d.edges[0]!) return 0;
			if (at >= d.edges.at(-1)!) return 100;
			const k = d.edges.findIndex((e) => e >= at);
			const from = d.edges[k - 1]!;
			const to = d.edges[k]!;
			return shares[k - 1]! + ((shares[k]! - shares[k - 1]!) * (at - from)) / (to - from);
		});
		return [{ name: jobs[i]!.name, values, hue: i }];
	});
	return { x, curves };
}

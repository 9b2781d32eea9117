// A map of two points of a study: by how much each edge differs, and whether that is told apart from chance.
import { useMemo, useRef, useState } from "preact/hooks";
import { get, type Got } from "../api";
import { clock, number, plural, words } from "../format";
import { useLoad } from "../load";
import type { Measure } from "../map/measures";
import { Network } from "../map/network";
import { roundTop } from "../map/scale";
import { Surface } from "../map/surface";
import { FindEdge, Legend } from "../map/view";
import { Card, Empty, Loading, ProblemNotice } from "../parts";
import { labelOf } from "./layout";
import { addressOf, type Study } from "./live";
import { Notes } from "./notes";

type EdgeAnswer = Got<"/studies/{id}/edgedata">;
type EdgeNumbers = EdgeAnswer["edges"][number];

export function DifferenceMap({ id, study }: { id: string; study: Study }) {
	const [point, setPoint] = useState(study.points.length > 1 ? 1 : 0);
	const [against, setAgainst] = useState(study.points.length > 1 ? 0 : -1);
	const [attribute, setAttribute] = useState("");
	const [interval, setInterval] = useState(0);
	const [all, setAll] = useState(false);
	const axes = (study.plan.axes ?? []).map((a) => a.name);
	const network = useLoad(`${id} ${point}`, async (signal) => {
		const { jobs } = await get<"/jobs">(`/jobs?study=${encodeURIComponent(id)}&point=${point}&status=SUCCEEDED&limit=1` as "/jobs", signal);
		return jobs[0] && new Network(await get<"/jobs/{id}/network">(`/jobs/${jobs[0].job_id}/network` as "/jobs/{id}/network", signal));
	});
	const query = { point: String(point), ...(against >= 0 && { against: String(against) }), ...(attribute && { attribute }), interval: String(interval) };
	const edges = useLoad(JSON.stringify([id, query]), async (signal) => inRoadUnits(await get<"/studies/{id}/edgedata">(addressOf(id, `/edgedata?${new URLSearchParams(query)}`) as "/studies/{id}/edgedata", signal)));
	const options = (but: number) =>
		study.points.map((p) => (
			<option key={p.point} value={p.point} disabled={p.point === but}>
				{labelOf(p, axes)}
			</option>
		));
	const d = edges.data;
	// What there is to choose from stays while another choice loads, or fails.
	const last = useRef<EdgeAnswer | undefined>(undefined);
	const choices = (last.current = d ?? last.current);
	const choose = (set: (point: number) => void) => (e: { currentTarget: HTMLSelectElement }) => {
		set(Number(e.currentTarget.value));
		setInterval(0); // other points may have others
	};
	return (
		<Card>
			<div class="maptools">
				<label>
					<span>Point</span>
					<select value={point} onChange={choose(setPoint)}>
						{options(against)}
					</select>
				</label>
				<label>
					<span>Against</span>
					<select value={against} onChange={choose(setAgainst)}>
						<option value={-1}>nothing: its mean</option>
						{options(point)}
					</select>
				</label>
				{choices && (
					<>
						<label>
							<span>Measure</span>
							<select value={attribute || choices.attribute} onChange={(e) => setAttribute(e.currentTarget.value)}>
								{choices.attributes.map((a) => (
									<option key={a} value={a}>
										{nameOf(a)}
									</option>
								))}
							</select>
						</label>
						{choices.intervals.length > 1 && (
							<label>
								<span>Interval</span>
								<select value={interval} onChange={(e) => setInterval(Number(e.currentTarget.value))}>
									{choices.intervals.map((i, k) => (
										<option key={k} value={k}>
											{clock(i.begin)} to {clock(i.end)}
										</option>
									))}
								</select>
							</label>
						)}
					</>
				)}
				{against >= 0 && (
					<label>
						<input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} />
						<span>Also differences that chance may have made</span>
					</label>
				)}
			</div>
			{edges.problem && <ProblemNotice problem={edges.problem} retry={edges.reload} />}
			{network.problem && <ProblemNotice problem={network.problem} retry={network.reload} />}
			{(edges.loading || network.loading) && !edges.problem && !network.problem && <Loading what="the map" />}
			{!network.loading && !network.problem && !network.data && <Empty>No run of this point has succeeded yet.</Empty>}
			{network.data && d && <Drawn network={network.data} data={d} differs={against >= 0} all={all} />}
		</Card>
	);
}

/** SUMO's name of an attribute in words: timeLoss becomes "Time loss". */
const nameOf = (attribute: string): string => words(attribute.replace(/(?<=[a-z])[A-Z]/g, (c) => ` ${c.toLowerCase()}`));

/** Attributes of which more is no worse. The others measure congestion. */
const fine = new Set(["speed", "speedRelative", "entered", "left", "departed", "arrived", "flow", "sampledSeconds"]);

const kmh = 3.6; // for one m/s

/** Speeds in the unit of road signs, km/h. */
function inRoadUnits(d: EdgeAnswer): EdgeAnswer {
	if (d.unit !== "m/s") return d;
	const changed = <T extends number | null | undefined>(v: T): T => (typeof v === "number" ? ((v * kmh) as T) : v);
	return { ...d, unit: "km/h", edges: d.edges.map((e) => ({ ...e, mean: changed(e.mean), sd: changed(e.sd), difference: changed(e.difference) })) };
}

function Drawn({ network, data, differs, all }: { network: Network; data: EdgeAnswer; differs: boolean; all: boolean }) {
	const [selected, setSelected] = useState<number>();
	const [wanted, setWanted] = useState<{ edge: number }>();
	const byEdge = useMemo(() => {
		const found = new Array<EdgeNumbers | undefined>(network.edges.length).fill(undefined);
		for (const e of data.edges) {
			const i = network.number.get(e.id);
			if (i !== undefined) found[i] = e;
		}
		return found;
	}, [network, data]);
	const measure = useMemo((): Measure => {
		const values = byEdge.map((e) => (!e ? null : !differs ? e.mean : all || e.told_apart ? (e.difference ?? null) : null));
		// One scale with and without what chance may have made.
		const top = roundTop(data.edges.map((e) => Math.abs((differs ? e.difference : e.mean) ?? 0)));
		const highIsBad = !fine.has(data.attribute);
		return {
			name: data.attribute, label: differs ? `${nameOf(data.attribute)}: difference` : nameOf(data.attribute), unit: data.unit, measured: true, values: () => values,
			scale: { low: differs ? -top : 0, high: top, highIsBad, diverging: differs },
		};
	}, [byEdge, data, differs, all]);
	const apart = data.edges.filter((e) => e.told_apart).length;
	const select = (edge: number | undefined) => setSelected(edge);
	const find = (edge: number) => {
		setSelected(edge);
		setWanted({ edge });
	};
	return (
		<>
			<Surface
				network={network} measure={measure} interval={0} selected={selected} select={select} wanted={wanted}
				describe={`Map of ${measure.label.toLowerCase()}. Arrow keys pan, plus and minus zoom, 0 shows everything. The table below has the numbers.`}
			>
				<Legend measure={measure} nothing={differs && !all ? "not told apart" : "no value"} />
			</Surface>
			<p class="small muted said-of-map">
				{differs
					? `${plural(apart, "edge")} of ${data.edges.length} told apart from chance in this interval, by ${plural(data.n, "run")} against ${data.against_n ?? 0}. Of those in all intervals one in twenty is expected to be by chance (Benjamini–Hochberg).`
					: `Means of ${plural(data.n, "run")}.`}
			</p>
			<Notes of={data.notes} />
			<div class="columns edges">
				<section aria-live="polite">
					<FindEdge network={network} found={find} />
					{selected === undefined && <p class="muted">Select an edge, on the map or here, to see its numbers.</p>}
					{selected !== undefined && <OneEdge id={network.edges[selected]!.id} name={network.edges[selected]!.name} of={byEdge[selected]} unit={data.unit} differs={differs} />}
				</section>
				<Largest data={data} network={network} differs={differs} all={all} select={find} />
			</div>
		</>
	);
}

function OneEdge({ id, name, of, unit, differs }: { id: string; name: string | undefined; of: EdgeNumbers | undefined; unit: string; differs: boolean }) {
	const rows: [string, string][] = of
		? [
				["Runs", String(of.n)],
				["Mean", text(of.mean, unit)],
				["Standard deviation", text(of.sd, unit)],
				...(differs
					? ([
							["Difference", text(of.difference, unit)],
							["p", of.p == null ? "–" : number(of.p)],
							["p, adjusted", of.q == null ? "–" : number(of.q)],
							["Told apart from chance", of.told_apart ? "yes" : "no"],
						] as [string, string][])
					: []),
			]
		: [];
	return (
		<>
			<h2>
				Edge <code>{id}</code>
				{name && ` · ${name}`}
			</h2>
			{!of && <p class="muted">No run has a value here in this interval.</p>}
			{of && (
				<table class="metrics">
					<tbody>
						{rows.map(([name, value]) => (
							<tr key={name}>
								<th scope="row">{name}</th>
								<td>{value}</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
		</>
	);
}

const text = (v: number | null | undefined, unit: string): string => (v == null ? "–" : `${number(v)}${unit === "1" || unit === "" ? "" : ` ${unit}`}`);

const listed = 10;

function Largest({ data, network, differs, all, select }: { data: EdgeAnswer; network: Network; differs: boolean; all: boolean; select: (edge: number) => void }) {
	const value = (e: EdgeNumbers) => (differs ? e.difference : e.mean) ?? 0;
	const largest = data.edges
		.filter((e) => network.number.has(e.id) && (!differs || all || e.told_apart))
		.sort((a, b) => Math.abs(value(b)) - Math.abs(value(a)))
		.slice(0, listed);
	return (
		<section>
			<h2>{differs ? "Largest differences" : "Largest means"}</h2>
			{largest.length === 0 && <p class="muted">No edge differs by more than chance may have made.</p>}
			{largest.length > 0 && (
				<table class="list narrow">
					<tbody>
						{largest.map((e) => (
							<tr key={e.id}>
								<td class="grow">
									<button type="button" class="link" onClick={() => select(network.number.get(e.id)!)}>
										{network.edges[network.number.get(e.id)!]!.name || e.id}
									</button>
								</td>
								<td class="right figure">{text(value(e), data.unit)}</td>
								{differs && <td>{e.told_apart ? "told apart" : <span class="muted">not told apart</span>}</td>}
							</tr>
						))}
					</tbody>
				</table>
			)}
		</section>
	);
}

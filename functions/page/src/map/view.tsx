// The map: the network coloured by the run's measurements, a slider over time, and the vehicles played back.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, isFinished, type Job, type Problem } from "../api";
import { Chart } from "../chart";
import { clock, number, plural, whole } from "../format";
import { asProblem, useLoad } from "../load";
import { Card, Loading, ProblemNotice } from "../parts";
import { linkTo } from "../route";
import { theme } from "../theme";
import { type EdgeData, intervalAt, type Measure, measuresOf } from "./measures";
import { Network } from "./network";
import { Playback } from "./playback";
import { ramp } from "./scale";
import { Surface } from "./surface";

export function MapView({ job }: { job: Job }) {
	const finished = isFinished(job.status);
	const network = useLoad(job.job_id, async (signal) => new Network(await get<"/jobs/{id}/network">(`/jobs/${job.job_id}/network`, signal)));
	const data = useLoad(`${job.job_id} ${finished}`, async (signal) => (finished ? await get<"/jobs/{id}/edgedata">(`/jobs/${job.job_id}/edgedata`, signal) : undefined));
	if (network.problem) return <ProblemNotice problem={network.problem} retry={network.reload} />;
	if (!network.data || (finished && data.loading)) return <Loading what="the network" />;
	if (network.data.edges.length === 0) return <div class="empty">This network has no edges.</div>;
	return <MapOf job={job} network={network.data} data={data.data} missing={data.problem} finished={finished} />;
}

function MapOf({ job, network, data, missing, finished }: { job: Job; network: Network; data: EdgeData | undefined; missing: Problem | undefined; finished: boolean }) {
	const measures = useMemo(() => measuresOf(network, data), [network, data]);
	const [name, setName] = useState(measures[0]!.name);
	const measure = measures.find((m) => m.name === name) ?? measures[0]!;
	const [selected, setSelected] = useState<number>();
	const [wanted, setWanted] = useState<{ edge: number }>(); // to be brought into view
	const playback = usePlayback(job, finished);
	const range = timeRange(data, playback.range);
	const [time, setTime] = useState(range?.[0] ?? 0);
	const [playing, setPlaying] = useState(false);
	const [rate, setRate] = useState(10);
	const interval = intervalAt(data, time);

	// Data that arrive later may begin later.
	const begin = range?.[0];
	useEffect(() => {
		if (begin !== undefined) setTime((t) => Math.max(t, begin));
	}, [begin]);
	useEffect(() => {
		void playback.need(time);
	}, [playback.player, playback.version, Math.floor(time)]);
	useEffect(() => {
		if (!playing || !range) return;
		let before = performance.now();
		let frame = requestAnimationFrame(function step(now) {
			const passed = Math.min(100, now - before) / 1000; // a tab that was hidden does not jump
			before = now;
			setTime((t) => {
				if (playback.player && !playback.player.has(t)) return t; // wait for the vehicles
				return Math.min(range[1], t + passed * rate);
			});
			frame = requestAnimationFrame(step);
		});
		return () => cancelAnimationFrame(frame);
	}, [playing, rate, playback.player, range?.[1]]);
	useEffect(() => {
		if (range && time >= range[1]) setPlaying(false);
	}, [time, range?.[1]]);

	const moving = Boolean(range && (playback.player || (data && data.intervals.length > 1)));
	const hints = [missing?.message, playback.problem?.message].filter(Boolean);
	return (
		<Card>
			<div class="maptools">
				<label>
					<span>Colour by</span>
					<select value={measure.name} onChange={(e) => setName(e.currentTarget.value)}>
						{measures.map((m) => (
							<option key={m.name} value={m.name}>
								{m.label} ({m.unit})
							</option>
						))}
					</select>
				</label>
				<FindEdge
					network={network}
					found={(edge) => {
						setSelected(edge);
						setWanted({ edge });
					}}
				/>
				<span class="muted small facts-line">
					{plural(network.edges.length, "edge")}
					{data && ` · ${plural(data.intervals.length, "interval")}`}
					{data?.merged && data.merged > 1 ? `, each merging ${data.merged} measured ones` : ""}
				</span>
			</div>
			<Surface
				network={network}
				measure={measure}
				interval={interval}
				selected={selected}
				select={setSelected}
				wanted={wanted}
				vehicles={playback.player && (() => playback.player!.places(time))}
				stamp={`${time} ${playback.version}`}
				describe={`Map of ${job.scenario_id}, coloured by ${measure.label.toLowerCase()}${measure.measured ? ` at ${clock(time)}` : ""}. Arrow keys pan, plus and minus zoom, 0 shows everything. The table below has the numbers.`}
			>
				<Legend measure={measure} />
			</Surface>
			{moving && range && (
				<div class="player">
					<button
						type="button"
						class="play"
						aria-label={playing ? "Pause" : "Play"}
						onClick={() => {
							if (!playing && time >= range[1]) setTime(range[0]);
							setPlaying(!playing);
						}}
					>
						<svg viewBox="0 0 16 16" aria-hidden="true">
							<path d={playing ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z"} />
						</svg>
					</button>
					<input type="range" aria-label="Simulated time" aria-valuetext={clock(time)} min={range[0]} max={range[1]} step={sliderStep(range, playback.player ? undefined : data)} value={time} onInput={(e) => setTime(Number(e.currentTarget.value))} />
					<output class="figure" title={`${number(time, 6)} s of simulated time`}>
						{clock(time)}
					</output>
					<label>
						<span class="hidden">Playback speed</span>
						<select value={rate} onChange={(e) => setRate(Number(e.currentTarget.value))}>
							{[1, 5, 10, 30, 100, 300].map((r) => (
								<option key={r} value={r}>
									{r}×
								</option>
							))}
						</select>
					</label>
				</div>
			)}
			{moving && measure.measured && data && (
				<p class="small muted">
					Edges: {data.intervals[interval]!.map((s) => clock(s!)).join(" to ")}
					{playback.player && `. Vehicles: ${playback.player.has(time) ? `${whole(playback.player.places(time).length)} on the road` : "loading…"}`}
				</p>
			)}
			{!finished && <div class="notice">Measurements will be here once the job has finished.</div>}
			{hints.map((h) => (
				<div class="notice" key={h}>
					{h} <a href={linkTo("submit", job.job_id)}>Run again with other outputs</a>
				</div>
			))}
			<Edges
				network={network}
				measures={measures}
				measure={measure}
				data={data}
				interval={interval}
				selected={selected}
				select={(edge) => {
					setSelected(edge);
					setWanted({ edge });
				}}
			/>
		</Card>
	);
}

function usePlayback(job: Job, finished: boolean) {
	const [version, setVersion] = useState(0);
	const [range, setRange] = useState<[number, number]>();
	const [problem, setProblem] = useState<Problem>();
	const [player, setPlayer] = useState<Playback>();
	const [left] = useState(() => new AbortController());
	useEffect(() => () => left.abort(), []);
	const failed = (e: unknown) => {
		if (!left.signal.aborted) setProblem(asProblem(e));
	};
	useEffect(() => {
		if (!finished) return;
		const load = (query: string) => get<"/jobs/{id}/vehicles">(`/jobs/${job.job_id}/vehicles${query}`, left.signal);
		load("")
			.then((first) => {
				setRange([first.times[0] ?? first.begin, first.end]);
				setPlayer(new Playback((begin) => load(`?begin=${begin}`), () => setVersion((v) => v + 1)));
			})
			.catch(failed);
	}, [job.job_id, finished]);
	/** Loads the vehicles at time. */
	const need = async (time: number) => player?.need(time).catch(failed);
	return { player, range, problem, version, need };
}

function timeRange(data: EdgeData | undefined, vehicles: [number, number] | undefined): [number, number] | undefined {
	const begins = [data?.intervals[0]?.[0], vehicles?.[0]].filter((t) => t !== undefined);
	const ends = [data?.intervals.at(-1)?.[1], vehicles?.[1]].filter((t) => t !== undefined);
	return begins.length > 0 ? [Math.min(...begins), Math.max(...ends)] : undefined;
}

/** The slider's step: an interval where nothing else moves, so that one key press reaches the next. */
function sliderStep([begin, end]: [number, number], data: EdgeData | undefined): number | "any" {
	const first = data?.intervals[0];
	return first ? Math.max(1, first[1]! - first[0]!) : end - begin > 100 ? 1 : "any";
}

export function Legend({ measure, nothing = "no value" }: { measure: Measure; nothing?: string }) {
	const { low, high, highIsBad, diverging } = measure.scale;
	const colours = ramp(theme.value, diverging);
	const ordered = highIsBad ? [...colours].reverse() : colours;
	return (
		<div class="legend" role="group" aria-label={`Colours: ${measure.label} from ${number(low)} to ${number(high)} ${measure.unit}`}>
			<span>
				{measure.label} {measure.unit && measure.unit !== "1" && `(${measure.unit})`}
			</span>
			<svg viewBox={`0 0 ${ordered.length} 1`} preserveAspectRatio="none" aria-hidden="true">
				{ordered.map((c, i) => (
					<rect key={i} x={i} y={0} width={1.05} height={1} fill={c} />
				))}
			</svg>
			<span class="ends">
				<span>{number(low)}</span>
				<span>{number((low + high) / 2)}</span>
				<span>
					{measure.measured && !diverging && measure.unit !== "%" && measure.unit !== "km/h" ? "≥ " : ""}
					{number(high)}
				</span>
			</span>
			<span class="ends">
				<span class="nothing" /> {nothing}
			</span>
		</div>
	);
}

export function FindEdge({ network, found }: { network: Network; found: (edge: number) => void }) {
	const [text, setText] = useState("");
	const [wrong, setWrong] = useState(false);
	return (
		<form
			class="find"
			onSubmit={(e) => {
				e.preventDefault();
				const asked = text.trim();
				const edge = network.number.get(asked) ?? network.edges.findIndex((x) => x.name && x.name.toLowerCase() === asked.toLowerCase());
				setWrong(edge < 0);
				if (edge >= 0) found(edge);
			}}
		>
			<label>
				<span>Edge</span>
				<input type="search" value={text} placeholder="id or street" aria-invalid={wrong} onInput={(e) => setText(e.currentTarget.value)} />
			</label>
			<button type="submit">Find</button>
			{wrong && (
				<span class="fault" role="alert">
					There is no such edge.
				</span>
			)}
		</form>
	);
}

const listed = 8;

/** The edges with extreme values, and all values of the selected one. */
function Edges({ network, measures, measure, data, interval, selected, select }: {
	network: Network;
	measures: Measure[];
	measure: Measure;
	data: EdgeData | undefined;
	interval: number;
	selected: number | undefined;
	select: (edge: number) => void;
}) {
	const worst = useMemo(() => {
		const bad = measure.scale.highIsBad || measure.name === "entered" ? -1 : 1;
		return measure
			.values(interval)
			.map((value, edge) => ({ value, edge }))
			.filter((x): x is { value: number; edge: number } => x.value != null)
			.sort((a, b) => bad * (a.value - b.value))
			.slice(0, listed);
	}, [measure, interval]);
	return (
		<div class="columns edges">
			{selected === undefined && <p class="muted">Select an edge, on the map or here, to see all its values.</p>}
			{selected !== undefined && <OneEdge network={network} measures={measures} measure={measure} data={data} interval={interval} edge={selected} />}
			<section>
				<h2>
					{measure.scale.highIsBad || measure.name === "entered" ? "Highest" : "Lowest"}: {measure.label.toLowerCase()}
				</h2>
				{worst.length === 0 && <p class="muted">No edge has a value in this interval.</p>}
				{worst.length > 0 && (
					<table class="list narrow">
						<tbody>
							{worst.map(({ value, edge }) => (
								<tr key={edge}>
									<td class="grow">
										<button type="button" class="link" onClick={() => select(edge)}>
											{network.edges[edge]!.name || network.edges[edge]!.id}
										</button>
									</td>
									<td class="right figure">
										{number(value)} {measure.unit}
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</section>
		</div>
	);
}

function OneEdge({ network, measures, measure, data, interval, edge }: { network: Network; measures: Measure[]; measure: Measure; data: EdgeData | undefined; interval: number; edge: number }) {
	const e = network.edges[edge]!;
	return (
		<section aria-live="polite">
			<h2>
				Edge <code>{e.id}</code>
				{e.name && ` · ${e.name}`}
			</h2>
			<p class="muted">
				{plural(e.lanes, "lane")}, {number(e.length)} m, limit {number(e.speed * 3.6)} km/h
			</p>
			<table class="metrics">
				<tbody>
					{measures
						.filter((m) => m.measured)
						.map((m) => {
							const v = m.values(interval)[edge];
							return (
								<tr key={m.name}>
									<th scope="row">{m.label}</th>
									<td>{v == null ? "–" : `${number(v)} ${m.unit}`}</td>
								</tr>
							);
						})}
				</tbody>
			</table>
			{data && measure.measured && data.intervals.length > 1 && (
				<Chart
					label={`${measure.label} of edge ${e.id} over simulated time`}
					x={data.intervals.map(([begin]) => begin!)}
					xLabel="simulated time"
					unit={measure.unit}
					height={160}
					shape="steps"
					curves={[{ name: measure.label, values: data.intervals.map((_, i) => measure.values(i)[edge] ?? null) }]}
				/>
			)}
		</section>
	);
}

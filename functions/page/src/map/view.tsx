// The map: the network coloured by the run's measurements, and its vehicles and signals moving over it, on one clock; beside it, on
// the same clock and through the same camera, another run.
import { useComputed } from "@preact/signals";
import { Fragment } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, isFinished, type Job } from "../api";
import { Chart } from "../chart";
import { clock as clockText, number, percent, plural, whole } from "../format";
import { useLoad } from "../load";
import { Action, Card, Copy, Dialog, Field, Loading, ProblemNotice, announce } from "../parts";
import { Clock, rates } from "../replay/clock";
import { brief, SignalPanel, VehiclePanel } from "../replay/inspect";
import { ReplayLayer, type Thing } from "../replay/layer";
import { edgeOfLane, junctionOf, type Lead } from "../replay/lead";
import { type Caption, compose, pngOf, record, save, type Shown, videoKind } from "../replay/picture";
import { type ColourBy, kinds, namedPairs, packed, pairColour, type Palette, Scene, unpacked } from "../replay/scene";
import type { Event } from "../replay/segment";
import { stepBy, Timeline } from "../replay/timeline";
import { loadPairs, type Pairs, placedAs } from "../replay/trips";
import { type Replay, useReplay } from "../replay/use";
import { linkTo, note, query } from "../route";
import { colour, theme } from "../theme";
import { View } from "./camera";
import { type EdgeData, intervalAt, type Measure, measuresOf, plain } from "./measures";
import { Network } from "./network";
import { hues, ramp } from "./scale";
import { Surface } from "./surface";

export function MapView({ job }: { job: Job }) {
	const [details] = useState(() => new URLSearchParams(query.value));
	const [beside, setBeside] = useState(details.get("with") ?? "");
	const shown = useRef("");
	const other = useLoad(beside, async (signal) => (beside ? await get<"/jobs/{id}">(`/jobs/${encodeURIComponent(beside)}`, signal) : undefined));
	const [colourBy, setColourBy] = useState<ColourBy>("speed");
	const first = useMapped(job, colourBy);
	const second = useMapped(beside ? other.data : undefined, colourBy);
	if (first.network.problem) return <ProblemNotice problem={first.network.problem} retry={first.network.reload} />;
	// What is shown stays while a run's end is looked at: its time and selection would be lost.
	const waits = shown.current !== job.job_id && (first.data.loading || !first.replay.settled);
	if (!first.network.data || waits) return <Loading what="the network" />;
	shown.current = job.job_id;
	if (first.network.data.edges.length === 0) return <div class="empty">This network has no edges.</div>;
	const faults = [other.problem, beside ? second.network.problem : undefined].filter((p) => p !== undefined);
	const both = [first, ...(second.network.data && second.job && second.replay.settled ? [second] : [])];
	return (
		<>
			{faults.map((p) => (
				<ProblemNotice key={p.message} problem={p} />
			))}
			<Maps key={job.job_id} maps={both as [Complete, ...Complete[]]} details={details} beside={beside} setBeside={setBeside} colourBy={colourBy} setColourBy={setColourBy} />
		</>
	);
}

/** A job with what its map shows. */
function useMapped(job: Job | undefined, colourBy: ColourBy) {
	const id = job?.job_id ?? "";
	const finished = job !== undefined && isFinished(job.status);
	const network = useLoad(id, async (signal) => (id ? new Network(await get<"/jobs/{id}/network">(`/jobs/${id}/network`, signal)) : undefined));
	const data = useLoad(`${id} ${finished}`, async (signal) => (finished ? await get<"/jobs/{id}/edgedata">(`/jobs/${id}/edgedata`, signal) : undefined));
	const replay = useReplay(job);
	const trips = finished && colourBy === "pair" ? id : "";
	const pairs = useLoad(`pairs ${trips}`, async (signal) => (trips ? loadPairs(trips, signal) : undefined));
	return { job, network, data: { ...data, loading: finished && data.loading }, replay, pairs };
}

type Mapped = ReturnType<typeof useMapped>;
type Complete = Mapped & { job: Job; network: { data: Network } };

const paletteOf = (): Palette => ({
	ramp: Uint32Array.from(ramp(theme.value), packed),
	kinds: Uint32Array.from(kinds, (_, i) => packed(colour(`curve-${i}`))),
	pairs: Uint32Array.from([...Array.from({ length: namedPairs }, (_, i) => colour(`curve-${i}`)), ...hues(theme.value, 42)], packed),
	// The colours of sumo-gui, as far as they are seen on light and dark ground; "" is for an unknown state.
	signals: { G: packed("#12a150"), g: packed("#12a150"), y: packed("#f0b400"), r: packed("#dc2f26"), u: packed("#f07d00"), s: packed("#a05ad0"), o: packed("#8f6a3f"), O: packed("#6aa9c9"), "": packed(colour("unsampled")) },
	unknown: packed(colour("edge")),
	ring: packed(colour("accent")),
});

const isShown = (replay: Replay): boolean => (replay.index?.segments.length ?? 0) > 0;

type Selection = { map: number; thing: Thing };

function Maps({ maps, details, beside, setBeside, colourBy, setColourBy }: {
	maps: [Complete, ...Complete[]];
	details: URLSearchParams;
	beside: string;
	setBeside: (id: string) => void;
	colourBy: ColourBy;
	setColourBy: (by: ColourBy) => void;
}) {
	const [{ job, network: { data: network }, data: { data, problem: missing } }] = maps;
	const finished = isFinished(job.status);
	const replays = maps.map((m) => m.replay);
	const shown = replays.some(isShown);
	const clock = useMemo(() => new Clock(), []);
	const view = useMemo(() => new View(), []);
	const measured = maps.map((m) => measuresOf(m.network.data, m.data.data));
	const measures = measured[0]!;
	const [name, setName] = useState(details.get("colour") ?? "");
	// Colours of the roads and of the vehicles at once are too many to read.
	const measure = measures.find((m) => m.name === name) ?? (shown ? plain : measures[0]!);
	const [edge, setEdge] = useState<string>();
	const [wanted, setWanted] = useState<{ id: string }>(); // an edge to be brought into view
	const [selection, setSelection] = useState<Selection>();
	const [following, setFollowing] = useState(false);
	const palette = useMemo(paletteOf, [theme.value]);
	const panes = useRef<(HTMLElement | null)[]>([]);

	// Each map has a layer for what moves.
	const select = useRef((_map: number, _thing: Thing) => {});
	select.current = (map, thing) => {
		setSelection({ map, thing });
		setFollowing(false);
	};
	const layers = useLayers(maps, palette, (map, thing) => select.current(map, thing));

	// The clock spans all that there is.
	const range = timeRange(maps);
	const open = replays.some((r) => r.index && !r.index.complete);
	clock.open = open;
	clock.ready = (time) => replays.every((r) => r.recording.ready(time));
	const [begin, end] = range ?? [0, 0];
	useEffect(() => {
		const before = clock.range.value;
		clock.range.value = [begin, end];
		if (clock.time < begin || (before[0] === before[1] && clock.time < begin)) clock.seek(begin);
	}, [begin, end]);
	useEffect(() => () => clock.stop(), []);

	const show = (time: number) => {
		for (const layer of layers) {
			layer.scene.recording.need(time, 3 * (clock.playing.value ? clock.rate.value : 1));
			layer.show(time);
		}
		const followed = following && selection && layers[selection.map]?.selectedPlace();
		if (followed) {
			view.camera.x = followed.x;
			view.camera.y = followed.y;
			view.moved();
		}
	};
	useEffect(() => {
		clock.watchers.add(show);
		return () => void clock.watchers.delete(show);
	});
	const found = maps.map((m) => m.pairs.data);
	const pairs = useMemo(() => found.map((p, i) => (i > 0 && p && found[0] ? placedAs(found[0], p) : p)), found);
	// What has arrived, been selected or recoloured is shown also while time stands, with the next picture.
	const arrived = replays.map((r) => `${r.version} ${r.index?.attempt} ${r.index?.segments.length}`).join();
	useLayoutEffect(() => {
		layers.forEach((layer, i) => {
			layer.selected = selection?.map === i ? selection.thing : undefined;
			layer.scene.colourBy = colourBy;
			layer.scene.take(pairs[i]);
			layer.scene.top = (measures.find((m) => m.name === "limit")?.scale.high ?? 50) / 3.6;
		});
		show(clock.time);
		clock.arrived();
	}, [arrived, selection, following, colourBy, palette, layers, pairs]);

	const go = useGo(layers, clock, view, { setEdge, setWanted, setSelection, setFollowing });
	useArrival(details, range !== undefined, go, clock, view, { setFollowing, setSelection, setEdge });
	useAddress({ clock, view, selection, edge, following, beside, colour: name });

	// Measurements change from interval to interval, not with each frame.
	const interval = useComputed(() => intervalAt(data, clock.now.value)).value;
	const moving = Boolean(range && (shown || (data && data.intervals.length > 1)));
	const period = replays[0]!.index?.period;
	const hints = [missing?.message, isShown(replays[0]!) || !finished ? undefined : replays[0]!.problem?.message].filter(Boolean);
	const selectEdge = (id: string | undefined) => {
		setEdge(id);
		if (id === undefined) setSelection(undefined);
	};
	const showEdge = (id: string) => {
		setEdge(id);
		setWanted({ id });
	};
	const legend = vehicleLegend(colourBy, measures, finished ? pairs[0] : undefined, !finished ? "They are known once the run has ended." : maps[0].pairs.problem?.message);
	const pictured = (): Shown[] => maps.flatMap((_, i) => (panes.current[i] ? [{ title: nameOf(maps, i), surface: panes.current[i]!, layer: layers[i] }] : []));
	const caption = (): Caption => ({ time: clockText(clock.time, true), legend: shown ? captionLegend(legend, palette) : undefined });
	const ground = () => ({ surface: colour("surface"), map: colour("map"), text: colour("text"), muted: colour("muted") });
	const draw = (canvas: HTMLCanvasElement, ratio: number) => compose(canvas, pictured(), caption(), ground(), ratio);

	return (
		<Card>
			<div class="maptools">
				<label>
					<span>Colour by</span>
					<select value={measure.name} onChange={(e) => setName(e.currentTarget.value)}>
						{measures.map((m) => (
							<option key={m.name} value={m.name}>
								{m.label} {m.unit && `(${m.unit})`}
							</option>
						))}
					</select>
				</label>
				{shown && (
					<label>
						<span>Vehicles by</span>
						<select value={colourBy} onChange={(e) => setColourBy(e.currentTarget.value as ColourBy)}>
							<option value="speed">Speed (km/h)</option>
							<option value="waiting">Waiting time (s)</option>
							<option value="class">Class</option>
							<option value="pair">Origin and destination</option>
						</select>
					</label>
				)}
				<FindEdge network={network} found={(n) => showEdge(network.edges[n]!.id)} />
				{shown && <FindVehicle layers={layers} clock={clock} found={(map, key, time) => go({ time, key, map })} />}
				<span class="muted small facts-line">
					{plural(network.edges.length, "edge")}
					{data && ` · ${plural(data.intervals.length, "interval")}`}
					{data?.merged && data.merged > 1 ? `, each merging ${data.merged} measured ones` : ""}
				</span>
			</div>
			<div
				class={maps.length > 1 ? "panes two" : "panes"}
				onKeyDown={(e) => {
					if (moving && playerKey(clock, period ?? 1, e)) e.preventDefault();
				}}
			>
				{maps.map((m, i) => {
					const of = measured[i]!.find((x) => x.name === measure.name) ?? plain;
					const net = m.network.data;
					return (
						<figure class="pane" key={m.job.job_id} ref={(box) => void (panes.current[i] = box?.querySelector<HTMLElement>(".surface") ?? null)}>
							{maps.length > 1 && (
								<figcaption>
									<a href={linkTo("jobs", m.job.job_id, "map")}>{m.job.scenario_id}</a> <span class="muted">{settingsOf(m.job)}</span>
								</figcaption>
							)}
							<Surface
								network={net}
								measure={of}
								interval={i === 0 ? interval : intervalAt(m.data.data, clock.now.peek())}
								selected={edge === undefined ? undefined : net.number.get(edge)}
								select={(n) => selectEdge(n === undefined ? undefined : net.edges[n]!.id)}
								wanted={i === 0 ? edgeWanted(net, wanted) : undefined}
								layer={layers[i]}
								view={view}
								describe={`Map of ${m.job.scenario_id}${of === plain ? "" : `, coloured by ${of.label.toLowerCase()}`}. Arrow keys pan, plus and minus zoom, 0 shows everything${moving ? "; space plays, comma and full stop step, Home and End go to the begin and the end" : ""}. The table below has the numbers.`}
							>
								{shown && i === 0 && <VehicleLegend {...legend} palette={palette} above={of !== plain} />}
								{of !== plain && <Legend measure={of} />}
							</Surface>
						</figure>
					);
				})}
				{moving && (
					<Timeline
						clock={clock}
						step={shown ? (period ?? 1) : sliderStep(range!, data)}
						shown={shown}
						indexes={maps.flatMap((m, i) => (m.replay.index && isShown(m.replay) ? [{ name: maps.length > 1 ? nameOf(maps, i) : "", index: m.replay.index }] : []))}
					/>
				)}
			</div>
			{moving && <Says clock={clock} measure={measure} data={data} interval={interval} layers={layers} maps={maps} />}
			{moving && (
				<div class="maptools after">
					{shown && <Pictures clock={clock} draw={draw} painted={() => Promise.all(layers.map((l) => l.painted()))} name={job.scenario_id} />}
					{shown && <Copy text={location.href} word="Copy link" what="the link to this moment" now={() => location.href} />}
					{shown && <Beside job={job} beside={beside} choose={setBeside} />}
				</div>
			)}
			<Faulty maps={maps} clock={clock} />
			{selection && layers[selection.map] && "vehicle" in selection.thing && (
				<VehiclePanel job={maps[selection.map]!.job} vehicle={selection.thing.vehicle} layer={layers[selection.map]!} clock={clock} following={following} follow={setFollowing} close={() => setSelection(undefined)} showEdge={showEdge} />
			)}
			{selection && layers[selection.map] && "signal" in selection.thing && (
				<SignalPanel signal={selection.thing.signal} layer={layers[selection.map]!} clock={clock} close={() => setSelection(undefined)} colours={(state) => unpacked(palette.signals[state] ?? palette.signals[""]!)} />
			)}
			{!finished && !shown && <div class="notice">Measurements will be here once the job has finished.</div>}
			{hints.map((h) => (
				<div class="notice" key={h}>
					{h} <a href={linkTo("submit", job.job_id)}>Run again with other outputs</a>
				</div>
			))}
			{maps.map((m, i) => m.replay.index && m.replay.index.events.length > 0 && <Happened key={m.job.job_id} name={maps.length > 1 ? nameOf(maps, i) : ""} events={m.replay.index.events} show={(e) => go({ ...e, map: i })} />)}
			<Edges network={network} measures={measures} measure={measure} data={data} interval={interval} selected={edge === undefined ? undefined : network.number.get(edge)} select={(n) => showEdge(network.edges[n]!.id)} />
		</Card>
	);
}

/** The edge that is wanted, as a new object only when another is. */
const wantedEdges = new WeakMap<{ id: string }, { edge: number }>();
function edgeWanted(network: Network, wanted: { id: string } | undefined): { edge: number } | undefined {
	const edge = wanted && network.number.get(wanted.id);
	if (!wanted || edge === undefined) return undefined;
	let found = wantedEdges.get(wanted);
	if (!found) wantedEdges.set(wanted, (found = { edge }));
	return found;
}

function useLayers(maps: Complete[], palette: Palette, select: (map: number, thing: Thing) => void): ReplayLayer[] {
	const made = useRef<{ network: Network; layer: ReplayLayer }[]>([]);
	const style = { halo: colour("halo"), ring: palette.ring };
	made.current = maps.map((m, i) => {
		const network = m.network.data;
		const have = made.current[i];
		if (have && have.network === network && have.layer.scene.recording === m.replay.recording) return have;
		return { network, layer: new ReplayLayer(new Scene(network, m.replay.recording, palette), style, (thing) => select(i, thing)) };
	});
	const layers = made.current.map((x) => x.layer);
	useEffect(() => {
		for (const { layer } of made.current) {
			layer.scene.recolour(palette);
			layer.restyle(style);
		}
	}, [palette]);
	const stable = useRef(layers);
	if (layers.length !== stable.current.length || layers.some((l, i) => l !== stable.current[i])) stable.current = layers;
	return stable.current;
}

/** The name of a job among those shown, which may share it. */
const nameOf = (maps: Complete[], i: number): string => maps[i]!.job.scenario_id + (maps.length > 1 ? ` …${maps[i]!.job.job_id.slice(-4)}` : "");

const settingsOf = (job: Job): string => `${job.seed == null ? "default seed" : `seed ${job.seed}`}${job.options.scale == null ? "" : `, demand × ${job.options.scale}`} …${job.job_id.slice(-4)}`;

type Destination = Partial<Lead> & { x?: number | null; y?: number | null; key?: string; map?: number; stay?: boolean };

const near = 3; // pixels per metre, with which a place is shown

/** Leads to a moment and a place. */
function useGo(layers: ReplayLayer[], clock: Clock, view: View, set: {
	setEdge: (id: string | undefined) => void;
	setWanted: (edge: { id: string }) => void;
	setSelection: (s: Selection | undefined) => void;
	setFollowing: (yes: boolean) => void;
}): (to: Destination) => void {
	const latest = useRef(0);
	return (to) => {
		const turn = ++latest.current;
		const map = to.map ?? 0;
		const layer = layers[map];
		if (!layer) return;
		clock.pause();
		set.setFollowing(false);
		if (to.time !== undefined) clock.seek(to.time);
		const { recording, network } = layer.scene;
		const keys = to.key ? [to.key] : to.vehicle ? [`v${to.vehicle}`, `p${to.vehicle}`] : [];
		const place = (x: number, y: number, pin: boolean) => {
			layer.pin = pin && !to.stay ? [x, y] : undefined;
			if (to.stay) return;
			view.camera.show(x, y, Math.max(near, view.camera.scale));
			view.moved();
		};
		const arrive = () => {
			const period = recording.index?.period ?? 1;
			// A vehicle that teleports or arrives is not in the frame of that time any more.
			for (const time of [clock.time, clock.time - period, clock.time - 2 * period]) {
				const m = recording.at(time);
				const key = m && keys.find((k) => recording.find(m, k) !== undefined);
				if (!m || key === undefined) continue;
				if (time !== clock.time) clock.seek(time);
				set.setSelection({ map, thing: { vehicle: key } });
				const i = recording.find(m, key)!;
				return place(m.segment.x[i]!, m.segment.y[i]!, false);
			}
			if (keys[0]) set.setSelection({ map, thing: { vehicle: keys[0] } });
			const event = recording.index?.events.find((e) => e.vehicle === to.vehicle && to.time !== undefined && Math.abs(e.time - to.time) < 1.5 * period);
			const [x, y] = to.x != null && to.y != null ? [to.x, to.y] : [event?.x, event?.y];
			if (x != null && y != null) return place(x, y, true);
			const edge = to.edge ?? (to.lane && edgeOfLane(to.lane)) ?? event?.edge;
			const junction = network.junctions.get(to.junction ?? (edge && junctionOf(edge)) ?? "");
			if (junction) return place(...junction, true);
			if (edge && network.number.has(edge)) {
				set.setEdge(edge);
				if (!to.stay) set.setWanted({ id: edge });
				return;
			}
			announce(`The map does not show ${brief(to.vehicle ?? to.edge ?? to.lane ?? to.junction ?? "that place")} at ${clockText(clock.time)}.`);
		};
		layer.pin = undefined;
		const wait = () => {
			if (turn !== latest.current) return;
			const first = Math.max(clock.begin, clock.time - 2 * (recording.index?.period ?? 1));
			recording.need(first, 0);
			if (recording.ready(clock.time) && recording.ready(first)) arrive();
			else setTimeout(wait, 30);
		};
		wait();
	};
}

/** Goes where the address leads, once there is something to show. */
function useArrival(details: URLSearchParams, ready: boolean, go: (to: Destination) => void, clock: Clock, view: View, set: {
	setFollowing: (yes: boolean) => void;
	setSelection: (s: Selection) => void;
	setEdge: (id: string) => void;
}): void {
	const latest = useRef(go);
	latest.current = go;
	const visit = (d: URLSearchParams) => {
		const at = d.get("at")?.split(",").map(Number);
		const time = d.has("t") ? Number(d.get("t")) : Number.NaN;
		if (Number.isFinite(time)) clock.seek(time);
		const text = (name: string) => d.get(name) ?? undefined;
		const to: Destination = { vehicle: text("vehicle"), key: text("selected"), edge: text("edge"), lane: text("lane"), junction: text("junction"), time: Number.isFinite(time) ? time : undefined, stay: at?.length === 3 };
		if (to.edge && to.stay) set.setEdge(to.edge);
		if (to.vehicle || to.key || to.edge || to.lane || to.junction) latest.current(to);
		if (d.has("signal")) set.setSelection({ map: 0, thing: { signal: d.get("signal")! } });
		if (at?.length === 3 && at.every(Number.isFinite)) {
			view.begin = at as [number, number, number];
			if (view.camera.width > 1) view.camera.show(...view.begin);
			view.moved();
		}
		if (d.has("follow")) set.setFollowing(true);
	};
	useEffect(() => {
		if (ready) visit(details);
	}, [ready]);
	// An address that is typed, or a link that is followed, while the map is open.
	const seen = useRef(query.value);
	useEffect(() => {
		if (seen.current === query.value) return;
		seen.current = query.value;
		visit(new URLSearchParams(query.value));
	}, [query.value]);
}

/** Keeps the address in step, so that a copied link leads to the same moment, place and selection. */
function useAddress({ clock, view, selection, edge, following, beside, colour: by }: { clock: Clock; view: View; selection: Selection | undefined; edge: string | undefined; following: boolean; beside: string; colour: string }): void {
	const write = useRef(() => {});
	write.current = () => {
		if (view.camera.width === 1) return;
		const d = new URLSearchParams();
		d.set("t", String(Math.round(1000 * clock.time) / 1000));
		const { x, y, scale } = view.camera;
		d.set("at", [x.toFixed(1), y.toFixed(1), scale.toPrecision(4)].join());
		if (selection && selection.map === 0) {
			if ("vehicle" in selection.thing) d.set("selected", selection.thing.vehicle);
			else d.set("signal", selection.thing.signal);
		}
		if (edge !== undefined) d.set("edge", edge);
		if (following) d.set("follow", "1");
		if (by) d.set("colour", by);
		if (beside) d.set("with", beside);
		if (d.toString().length < longestAddress) note(d);
	};
	useEffect(() => {
		// Browsers refuse more than some changes of the address in a second.
		let due = 0;
		const later = () => {
			due ||= window.setTimeout(() => {
				due = 0;
				write.current();
			}, 500);
		};
		view.watchers.add(later);
		clock.watchers.add(later);
		return () => {
			clearTimeout(due);
			view.watchers.delete(later);
			clock.watchers.delete(later);
		};
	}, []);
	useEffect(() => write.current(), [selection, edge, following, beside, by]);
}

const longestAddress = 4000; // characters: more than any sensible ids need, and what all programs pass on

function playerKey(clock: Clock, period: number, e: KeyboardEvent): boolean {
	if (e.ctrlKey || e.metaKey || e.altKey) return false;
	const on = e.target as HTMLElement;
	const slider = on instanceof HTMLInputElement && on.type === "range";
	if (!slider && on.closest("button, input, select, a")) return false;
	if (e.key === " ") clock.toggle();
	else if (e.key === ",") stepBy(clock, -period);
	else if (e.key === ".") stepBy(clock, period);
	else if (e.key === "Home") clock.seek(clock.begin);
	else if (e.key === "End") clock.seek(clock.end);
	else return false;
	return true;
}

function timeRange(maps: Mapped[]): [number, number] | undefined {
	const spans = maps.flatMap(({ data, replay }) => {
		const intervals = data.data?.intervals ?? [];
		return [
			...(intervals.length > 0 ? [[intervals[0]![0]!, intervals.at(-1)![1]!]] : []),
			...(replay.index && isShown(replay) ? [[replay.index.begin, replay.index.end]] : []),
		];
	});
	// Where vehicles are shown, the time before the first and after the last of them is not played.
	const moving = maps.flatMap(({ replay }) => (replay.index && isShown(replay) ? [[replay.index.begin, replay.index.end]] : []));
	const of = moving.length > 0 ? moving : spans;
	return of.length > 0 ? [Math.min(...of.map((s) => s[0]!)), Math.max(...of.map((s) => s[1]!))] : undefined;
}

/** The slider's step: an interval where nothing else moves, so that one key press reaches the next. */
function sliderStep([begin, end]: [number, number], data: EdgeData | undefined): number | "any" {
	const first = data?.intervals[0];
	return first ? Math.max(1, first[1]! - first[0]!) : end - begin > 100 ? 1 : "any";
}

/** What the maps show now, in words. */
function Says({ clock, measure, data, interval, layers, maps }: { clock: Clock; measure: Measure; data: EdgeData | undefined; interval: number; layers: ReplayLayer[]; maps: Complete[] }) {
	const time = clock.reading();
	const parts = layers.flatMap((layer, i) => {
		if (!isShown(maps[i]!.replay)) return [];
		const m = layer.scene.moment;
		const count = m ? `${whole(m.segment.starts[m.frame + 1]! - m.segment.starts[m.frame]!)} on the road` : layer.scene.recording.faultAt(time) ? "not readable" : "loading…";
		return [`${maps.length > 1 ? `${nameOf(maps, i)}: ` : "Vehicles: "}${count}`];
	});
	if (measure.measured && data?.intervals[interval]) parts.unshift(`Edges: ${data.intervals[interval]!.map((s) => clockText(s!)).join(" to ")}`);
	return <p class="small muted says">{parts.join(". ")}</p>;
}

/** Parts of recordings that are missing or broken. */
function Faulty({ maps, clock }: { maps: Complete[]; clock: Clock }) {
	const time = clock.reading();
	return (
		<>
			{maps.map(({ replay, job }) => {
				const fault = replay.recording.faultAt(time);
				return (
					<Fragment key={job.job_id}>
						{fault && (
							<div class="notice bad" role="alert">
								<strong>
									The recording cannot be shown from {clockText(fault.part.begin)} to {clockText(fault.part.end)}
									{maps.length > 1 && ` of ${job.scenario_id}`}
								</strong>
								: {fault.reason}
								{fault.reason.endsWith(".") ? "" : "."} {fault.passing ? "It is asked for again." : "The other parts are not concerned."}
							</div>
						)}
						{replay.index?.missing.map((m) => (
							<div class="notice" key={m}>
								The recording is without {m}
							</div>
						))}
					</Fragment>
				);
			})}
		</>
	);
}

const listedEvents = 500;

const eventNames: Record<string, string> = { teleport: "Teleport", collision: "Collision", emergency_braking: "Emergency braking", emergency_stop: "Emergency stop", dropped: "Dropped" };

function Happened({ name, events, show }: { name: string; events: Event[]; show: (e: Event) => void }) {
	return (
		<details class="happened">
			<summary>
				{plural(events.length, "event")}
				{name && ` of ${name}`}: teleports, collisions and the like
			</summary>
			<ul>
				{events.slice(0, listedEvents).map((e, i) => (
					<li key={i}>
						<button type="button" class="link" onClick={() => show(e)}>
							{clockText(e.time, true)} {eventNames[e.kind] ?? brief(e.kind)}
							{e.vehicle && ` of ${brief(e.vehicle)}`}
						</button>
						{(e.edge || e.lane) && <span class="muted"> on {brief(e.lane ?? e.edge ?? "")}</span>}
					</li>
				))}
			</ul>
			{events.length > listedEvents && <p class="small muted">The first {listedEvents}; the log has them all.</p>}
		</details>
	);
}

function FindVehicle({ layers, clock, found }: { layers: ReplayLayer[]; clock: Clock; found: (map: number, key: string, time: number) => void }) {
	const [text, setText] = useState("");
	const [state, setState] = useState<"" | "searching" | "missing">("");
	const search = useRef<AbortController>(undefined);
	useEffect(() => () => search.current?.abort(), []);
	const find = async () => {
		const id = text.trim();
		if (!id) return;
		search.current?.abort();
		const mine = (search.current = new AbortController());
		setState("searching");
		for (const [map, { scene }] of layers.entries()) {
			const m = scene.moment;
			const here = m && [`v${id}`, `p${id}`].find((key) => scene.recording.find(m, key) !== undefined);
			const hit = here ? { key: here, time: clock.time } : await scene.recording.search(id, clock.time, mine.signal);
			if (mine.signal.aborted) return;
			if (hit) {
				setState("");
				return found(map, hit.key, hit.time);
			}
		}
		setState("missing");
	};
	return (
		<form
			class="find"
			onSubmit={(e) => {
				e.preventDefault();
				void find();
			}}
		>
			<label>
				<span>Vehicle</span>
				<input type="search" value={text} placeholder="id" aria-invalid={state === "missing"} onInput={(e) => setText(e.currentTarget.value)} />
			</label>
			<button type="submit" aria-label="Find the vehicle" aria-busy={state === "searching"}>
				Find
			</button>
			{state === "missing" && (
				<span class="fault" role="alert">
					The recording has no such vehicle.
				</span>
			)}
		</form>
	);
}

function Pictures({ clock, draw, painted, name }: { clock: Clock; draw: (canvas: HTMLCanvasElement, ratio: number) => void; painted: () => Promise<unknown>; name: string }) {
	const [asking, setAsking] = useState(false);
	return (
		<>
			<Action
				act={async () => {
					const canvas = document.createElement("canvas");
					await painted();
					draw(canvas, Math.max(2, devicePixelRatio)); // for print
					save(await pngOf(canvas), `${name}-${clockText(clock.time, true).replaceAll(":", ".")}.png`);
				}}
			>
				Save picture
			</Action>
			{videoKind() && (
				<button type="button" onClick={() => setAsking(true)}>
					Record video…
				</button>
			)}
			{asking && <Video clock={clock} draw={(canvas) => draw(canvas, 1)} painted={painted} name={name} close={() => setAsking(false)} />}
		</>
	);
}

function Video({ clock, draw, painted, name, close }: { clock: Clock; draw: (canvas: HTMLCanvasElement) => void; painted: () => Promise<unknown>; name: string; close: () => void }) {
	const [from, setFrom] = useState(String(Math.floor(clock.time)));
	const [to, setTo] = useState(String(Math.min(clock.end, Math.floor(clock.time) + 60)));
	const [rate, setRate] = useState(clock.rate.value);
	const [share, setShare] = useState<number>();
	const [stop] = useState(() => new AbortController());
	useEffect(() => () => stop.abort(), []);
	const [begin, end] = [Math.max(clock.begin, Number(from)), Math.min(clock.end, Number(to))];
	const possible = from !== "" && to !== "" && begin < end;
	return (
		<Dialog title="Record a video" close={close}>
			<p>The map plays from begin to end and is recorded as you see it. Keep this tab in front meanwhile.</p>
			<div class="grid">
				<Field label="From (s)">{(p) => <input {...p} type="number" value={from} min={clock.begin} max={clock.end} step="any" onInput={(e) => setFrom(e.currentTarget.value)} />}</Field>
				<Field label="To (s)" fault={possible ? undefined : "Choose a time after the first."}>
					{(p) => <input {...p} type="number" value={to} min={clock.begin} max={clock.end} step="any" onInput={(e) => setTo(e.currentTarget.value)} />}
				</Field>
				<Field label="Speed" hint={possible ? `${number((end - begin) / rate)} s of video` : undefined}>
					{(p) => (
						<select {...p} value={rate} onChange={(e) => setRate(Number(e.currentTarget.value))}>
							{rates.map((r) => (
								<option key={r} value={r}>
									{r}×
								</option>
							))}
						</select>
					)}
				</Field>
			</div>
			{share !== undefined && <progress max={1} value={share} aria-label={`Recorded ${percent(share)}`} />}
			<div class="buttons">
				<button type="button" onClick={close}>
					{share === undefined ? "Close" : "Stop"}
				</button>
				<Action
					kind="primary"
					disabled={!possible}
					act={async () => {
						clock.rate.value = rate;
						setShare(0);
						const video = await record(clock, begin, end, painted, draw, setShare, stop.signal).finally(() => setShare(undefined));
						if (stop.signal.aborted) return;
						save(video, `${name}-${clockText(begin, true).replaceAll(":", ".")}.webm`);
						close();
					}}
				>
					Record
				</Action>
			</div>
		</Dialog>
	);
}

function Beside({ job, beside, choose }: { job: Job; beside: string; choose: (id: string) => void }) {
	const jobs = useLoad("beside", (signal) => get<"/jobs">("/jobs?status=SUCCEEDED&limit=50", signal));
	const others = (jobs.data?.jobs ?? []).filter((j) => j.job_id !== job.job_id && !j.imported && !j.options.check && !j.options.tool);
	const known = beside === "" || others.some((j) => j.job_id === beside);
	return (
		<label>
			<span>Beside it</span>
			<select value={beside} onChange={(e) => choose(e.currentTarget.value)}>
				<option value="">nothing</option>
				{!known && <option value={beside}>…{beside.slice(-8)}</option>}
				{others.map((j) => (
					<option key={j.job_id} value={j.job_id}>
						{j.scenario_id}, {settingsOf(j)}
					</option>
				))}
			</select>
		</label>
	);
}

type LegendOf = { by: ColourBy; name: string; unit: string; top: number; pairs?: Pairs["list"]; missing?: string };

function vehicleLegend(by: ColourBy, measures: Measure[], pairs: Pairs | undefined, missing: string | undefined): LegendOf {
	if (by === "pair") return { by, name: "Origin and destination", unit: "", top: 0, pairs: pairs?.list ?? [], missing };
	if (by === "waiting") return { by, name: "Waiting time", unit: "s", top: Scene.longestWait };
	if (by === "class") return { by, name: "Class", unit: "", top: 0 };
	return { by, name: "Vehicles' speed", unit: "km/h", top: measures.find((m) => m.name === "limit")?.scale.high ?? 50 };
}

const captioned = 3; // pairs in a line below the map

const nameOfPair = ({ from, to }: Pairs["list"][number]): string => `${brief(from)} → ${brief(to)}`;

function captionLegend({ by, name, unit, top, pairs }: LegendOf, palette: Palette): Caption["legend"] {
	if (by === "class") return { name, entries: kinds.map((k, i) => [k, unpacked(palette.kinds[i]!)]) };
	if (pairs) return { name, entries: pairs.slice(0, captioned).map((p, n) => [nameOfPair(p), unpacked(pairColour(palette, n))]) };
	const colours = [...palette.ramp].map(unpacked);
	return { name, colours: by === "waiting" ? colours.reverse() : colours, ends: ["0", `${by === "waiting" ? "≥ " : ""}${number(top)} ${unit}`] };
}

function VehicleLegend({ by, name, unit, top, palette, above, pairs, missing }: LegendOf & { palette: Palette; above: boolean }) {
	const colours = [...palette.ramp].map(unpacked);
	const says = by === "class" ? kinds.join(", ") : pairs ? name : `${name} from 0 to ${number(top)} ${unit}`;
	return (
		<div class={above ? "legend above" : "legend"} role="group" aria-label={`Vehicles' colours: ${says}`}>
			<span>
				{name} {unit && `(${unit})`}
			</span>
			{pairs ? (
				<PairList pairs={pairs} missing={missing} palette={palette} />
			) : by === "class" ? (
				<ul>
					{kinds.map((k, i) => (
						<li key={k}>
							<svg viewBox="0 0 1 1" aria-hidden="true">
								<rect width="1" height="1" fill={unpacked(palette.kinds[i]!)} />
							</svg>
							{k}
						</li>
					))}
				</ul>
			) : (
				<>
					<svg viewBox={`0 0 ${colours.length} 1`} preserveAspectRatio="none" aria-hidden="true">
						{(by === "waiting" ? colours.reverse() : colours).map((c, i) => (
							<rect key={i} x={i} y={0} width={1.05} height={1} fill={c} />
						))}
					</svg>
					<span class="ends">
						<span>0</span>
						<span>
							{by === "waiting" ? "≥ " : ""}
							{number(top)}
						</span>
					</span>
				</>
			)}
		</div>
	);
}

function PairList({ pairs, missing, palette }: { pairs: Pairs["list"]; missing: string | undefined; palette: Palette }) {
	const row = (colours: number[], what: string, title?: string) => (
		<li key={what} title={title}>
			<svg viewBox={`0 0 ${colours.length} 1`} preserveAspectRatio="none" aria-hidden="true">
				{colours.map((c, i) => (
					<rect key={i} x={i} width={1.05} height={1} fill={unpacked(c)} />
				))}
			</svg>
			{what}
		</li>
	);
	if (missing) return <p class="missing">{missing}</p>;
	const others = pairs.length - namedPairs;
	return (
		<ul class="pairs">
			{pairs.slice(0, namedPairs).map((p, n) => row([pairColour(palette, n)], nameOfPair(p), plural(p.count, "trip")))}
			{others > 0 && row([0, 1, 2].map((n) => pairColour(palette, namedPairs + n)), plural(others, "other pair"), "They share the other colours")}
			{row([palette.unknown], "not known", "Not in the table of trips: those that have not arrived, and persons")}
		</ul>
	);
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
			<section hidden={measure === plain}>
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

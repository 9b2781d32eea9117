// What is selected on the map: a vehicle as it is now, or the phases of a signal in time.
import { useRef } from "preact/hooks";
import { isFinished, type Job } from "../api";
import { clock as clockText, duration, number, quantity } from "../format";
import { useLoad } from "../load";
import type { Clock } from "./clock";
import type { ReplayLayer } from "./layer";
import { edgeOfLane, junctionOf } from "./lead";
import type { Recording } from "./recording";
import { figures, type Trip, tripOf } from "./trips";

/** As much of an id as fits; hostile ones have thousands of letters. */
export const brief = (id: string): string => {
	const text = id.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd"); // what could not be seen, or would turn the text around
	return text.length > 60 ? `${text.slice(0, 57)}…` : text;
};

export function VehiclePanel({ job, vehicle, layer, clock, following, follow, close, showEdge }: {
	job: Job;
	vehicle: string;
	layer: ReplayLayer;
	clock: Clock;
	following: boolean;
	follow: (yes: boolean) => void;
	close: () => void;
	showEdge: (id: string) => void;
}) {
	const time = clock.reading();
	const m = layer.scene.moment;
	const i = m && layer.scene.recording.find(m, vehicle);
	const id = vehicle.slice(1);
	const person = vehicle.startsWith("p");
	return (
		<section class="inspected" aria-label={person ? "Selected person" : "Selected vehicle"}>
			<header>
				<h2>
					{person ? "Person" : "Vehicle"} <code>{brief(id)}</code>
				</h2>
				<label class="check">
					<input type="checkbox" checked={following} onChange={(e) => follow(e.currentTarget.checked)} />
					<span>Follow it</span>
				</label>
				<button type="button" class="quiet" onClick={close}>
					Deselect
				</button>
			</header>
			{(!m || i === undefined) && <p class="muted">Not on the map at {clockText(time)}.</p>}
			{m && i !== undefined && <Facts m={m} i={i} recording={layer.scene.recording} showEdge={showEdge} />}
			{!person && <TripFigures job={job} id={id} time={time} />}
		</section>
	);
}

function Facts({ m, i, recording, showEdge }: { m: NonNullable<ReplayLayer["scene"]["moment"]>; i: number; recording: Recording; showEdge: (id: string) => void }) {
	const s = m.segment;
	const v = s.vehicles[s.who[i]!]!;
	const type = Object.hasOwn(recording.index?.types ?? {}, v.type) ? recording.index!.types[v.type] : undefined;
	const lane = s.lane[i]! > 0 ? s.lanes[s.lane[i]! - 1]! : "";
	const edge = v.person ? lane : edgeOfLane(lane);
	const junction = junctionOf(edge);
	const rows: [string, preact.ComponentChildren][] = [
		["Type", <code key="t">{brief(v.type)}</code>],
		["Class", type ? brief(type.class) : v.person ? "pedestrian" : "unknown"],
		["Speed", `${number(s.speed[i]! * 3.6)} km/h`],
		["Waiting", duration(s.waiting[i]!)],
		[
			junction === undefined ? "Edge" : "Junction",
			!edge ? "unknown" : junction !== undefined ? <code key="j">{brief(junction)}</code> : (
				<button key="e" type="button" class="link" onClick={() => showEdge(edge)}>
					{brief(edge)}
				</button>
			),
		],
	];
	if (!v.person && lane) rows.push(["Lane", <code key="l">{brief(lane)}</code>]);
	return (
		<dl class="facts">
			{rows.map(([name, value]) => (
				<div key={name}>
					<dt>{name}</dt>
					<dd>{value}</dd>
				</div>
			))}
		</dl>
	);
}

const figureNames: Record<(typeof figures)[number], string> = {
	depart: "Departed", arrival: "Arrived", duration: "Travel time", timeLoss: "Time loss", waitingTime: "Waited in all", routeLength: "Route length",
};

/** What the run's table of trips has of a vehicle, which is there once the run has ended. */
function TripFigures({ job, id, time }: { job: Job; id: string; time: number }) {
	const selectedAt = useRef({ id: "", time });
	if (selectedAt.current.id !== id) selectedAt.current = { id, time };
	const finished = isFinished(job.status);
	const trip = useLoad(`${job.job_id} ${finished} ${id}`, async (signal) => ({ found: finished ? await tripOf(job.job_id, id, selectedAt.current.time, signal) : undefined }));
	const remark = (text: string) => <p class="trip small muted">{text}</p>;
	if (!finished) return remark("Its trip's figures will be here once the run has ended.");
	if (trip.problem) return remark(`No figures of its trip: ${trip.problem.message}`);
	if (!trip.data) return remark("Loading its trip's figures…");
	const { found } = trip.data;
	if (!found) return remark("The table of trips has no figures of it: SUMO writes those of vehicles that have arrived.");
	return (
		<dl class="facts" aria-label="Its trip">
			{figures.map((name) => (
				<div key={name}>
					<dt>{figureNames[name]}</dt>
					<dd>{figureText(name, found[name])}</dd>
				</div>
			))}
		</dl>
	);
}

function figureText(name: (typeof figures)[number], value: Trip[typeof name]): string {
	if (typeof value !== "number") return typeof value === "string" ? brief(value) : "–";
	if (name === "routeLength") return quantity(value, "m");
	if (name === "depart" || name === "arrival") return value < 0 ? "not yet" : clockText(value, true);
	return duration(value);
}

const around = 60; // seconds before and after
const mostLinks = 48;

/** The states of a signal between two times, as far as segments are loaded: when each begins. */
export function phasesOf(recording: Recording, signal: string, begin: number, end: number): { from: number; to: number; state: string }[] {
	const out: { from: number; to: number; state: string }[] = [];
	for (const s of recording.between(begin, end)) {
		const n = s.signals.ids.indexOf(signal);
		if (n < 0 || s.times.length === 0) continue;
		const until = s.times.at(-1)! + (recording.index?.period ?? 0);
		let [from, state] = [s.times[0]!, s.signals.states[n]!];
		const add = (to: number) => {
			if (out.at(-1)?.state === state && out.at(-1)!.to >= from - 1e-6) out.at(-1)!.to = to;
			else if (to > from) out.push({ from, to, state });
		};
		for (const [ms, of, next] of s.signals.changes) {
			if (of !== n) continue;
			add(ms / 1000);
			[from, state] = [ms / 1000, next];
		}
		add(until);
	}
	return out.filter((p) => p.to > begin && p.from < end && p.state);
}

const stateNames: Record<string, string> = { G: "green, with priority", g: "green", y: "yellow", r: "red", u: "red and yellow", s: "green arrow after a stop", o: "blinking", O: "off" };

export function SignalPanel({ signal, layer, clock, close, colours }: { signal: string; layer: ReplayLayer; clock: Clock; close: () => void; colours: (state: string) => string }) {
	const time = clock.reading();
	const [begin, end] = [time - around, time + around];
	const phases = phasesOf(layer.scene.recording, signal, begin, end);
	const now = phases.filter((p) => p.from <= time + 1e-6).at(-1);
	const links = Math.min(mostLinks, Math.max(0, ...phases.map((p) => p.state.length)));
	const x = (t: number) => Math.max(0, Math.min(2 * around, t - begin));
	return (
		<section class="inspected" aria-label="Selected signal">
			<header>
				<h2>
					Signal <code>{brief(signal)}</code>
				</h2>
				<button type="button" class="quiet" onClick={close}>
					Deselect
				</button>
			</header>
			{!now && <p class="muted">The recording does not say its state at {clockText(time)}.</p>}
			{now && (
				<>
					<p>
						<code>{brief(now.state)}</code> since {clockText(now.from)}, for {duration(time - now.from)}
					</p>
					<svg class="phases" viewBox={`0 0 ${2 * around} ${links}`} preserveAspectRatio="none" style={{ height: `${Math.max(24, links * 9)}px` }} role="img"
						aria-label={`States of its links from ${clockText(begin)} to ${clockText(end)}; now ${[...now.state].slice(0, links).map((c, k) => `link ${k} ${stateNames[c] ?? c}`).join(", ")}`}>
						{phases.flatMap((p) =>
							Array.from({ length: links }, (_, k) => <rect key={`${p.from} ${k}`} x={x(p.from)} width={Math.max(0, x(p.to) - x(p.from))} y={k} height={0.8} fill={colours(p.state[k] ?? "")} />),
						)}
						<path class="now" d={`M${around} 0V${links}`} />
					</svg>
					<p class="small muted">
						One row for each link, from 0 on, from {clockText(begin)} to {clockText(end)}; the line is now.
					</p>
				</>
			)}
		</section>
	);
}

// The clock's controls: play, steps, and a time line with the vehicles on the road and what happened.
import { useMemo } from "preact/hooks";
import { clock as clockText, number, plural, whole } from "../format";
import { type Clock, rates } from "./clock";
import type { Index } from "./recording";

const most = 500; // points and marks of a time line: it is about as many pixels wide

/** The running and halting vehicles over time, as outlines from 0 to 1 in both directions. */
function areas(index: Index, begin: number, end: number): { running: string; halting: string; top: number } {
	const every = Math.max(1, Math.ceil(index.segments.length / most));
	const points = index.segments.filter((_, i) => i % every === 0 || i === index.segments.length - 1);
	const top = Math.max(1, ...points.map((p) => p.running));
	const x = (time: number) => ((time - begin) / Math.max(1e-9, end - begin)).toFixed(4);
	const outline = (of: (p: (typeof points)[number]) => number) => {
		if (points.length === 0) return "";
		const line = points.map((p) => `L${x(p.end)} ${(1 - of(p) / top).toFixed(3)}`).join("");
		return `M${x(points[0]!.begin)} 1L${x(points[0]!.begin)} ${(1 - of(points[0]!) / top).toFixed(3)}${line}L${x(points.at(-1)!.end)} 1Z`;
	};
	return { running: outline((p) => p.running), halting: outline((p) => Math.min(p.halting, p.running)), top };
}

function marks(index: Index, begin: number, end: number): number[] {
	const places = new Set(index.events.map((e) => Math.round((most * (e.time - begin)) / Math.max(1e-9, end - begin))));
	return [...places].filter((p) => p >= 0 && p <= most);
}

export function Timeline({ clock, indexes, step, shown }: { clock: Clock; indexes: { name: string; index: Index }[]; step: number | "any"; shown: boolean }) {
	const [begin, end] = clock.range.value;
	const playing = clock.playing.value;
	const by = step === "any" ? 1 : step;
	const { live } = clock;
	return (
		<div class="player">
			<div class="buttons">
				<button type="button" class="play" aria-label="One step back" title="One step back (,)" onClick={() => stepBy(clock, -by)}>
					<svg viewBox="0 0 16 16" aria-hidden="true">
						<path d="M3 2h2v12H3zM14 2L6 8l8 6z" />
					</svg>
				</button>
				<button type="button" class="play" aria-label={playing ? "Pause" : "Play"} title={`${playing ? "Pause" : "Play"} (space)`} onClick={() => clock.toggle()}>
					<svg viewBox="0 0 16 16" aria-hidden="true">
						<path d={playing ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z"} />
					</svg>
				</button>
				<button type="button" class="play" aria-label="One step forward" title="One step forward (.)" onClick={() => stepBy(clock, by)}>
					<svg viewBox="0 0 16 16" aria-hidden="true">
						<path d="M11 2h2v12h-2zM2 2l8 6-8 6z" />
					</svg>
				</button>
			</div>
			<div class="timeline">
				{indexes.map(({ name, index }, i) => (
					<Profile key={i} name={name} index={index} begin={begin} end={end} />
				))}
				<Slider clock={clock} step={step} />
			</div>
			<div class="buttons">
				<Reading clock={clock} />
				{shown && <Waiting clock={clock} />}
				<label>
					<span class="hidden">Playback speed</span>
					<select value={clock.rate.value} onChange={(e) => (clock.rate.value = Number(e.currentTarget.value))}>
						{rates.map((r) => (
							<option key={r} value={r}>
								{r}×
							</option>
						))}
					</select>
				</label>
				{clock.open && (
					<button type="button" class={live.value ? "live on" : "live"} aria-pressed={live.value} onClick={() => (live.value ? clock.pause() : clock.follow())}>
						Live
					</button>
				)}
			</div>
		</div>
	);
}

export function stepBy(clock: Clock, seconds: number): void {
	clock.pause();
	clock.seek(clock.time + seconds);
}

function Slider({ clock, step }: { clock: Clock; step: number | "any" }) {
	const [begin, end] = clock.range.value;
	const time = clock.now.value;
	return <input type="range" aria-label="Simulated time" aria-valuetext={clockText(time)} min={begin} max={end} step={step} value={time} onInput={(e) => clock.seek(Number(e.currentTarget.value))} />;
}

function Reading({ clock }: { clock: Clock }) {
	const time = clock.now.value;
	return (
		<output class="figure" title={`${number(time, 6)} s of simulated time`}>
			{clockText(time)}
		</output>
	);
}

function Waiting({ clock }: { clock: Clock }) {
	return clock.ready(clock.reading()) ? null : <span class="spinner" role="status" aria-label="Loading vehicles" />;
}

function Profile({ name, index, begin, end }: { name: string; index: Index; begin: number; end: number }) {
	const { running, halting, top } = useMemo(() => areas(index, begin, end), [index, begin, end]);
	const happened = useMemo(() => marks(index, begin, end), [index, begin, end]);
	return (
		<svg class="profile" viewBox="0 0 1 1" preserveAspectRatio="none" role="img" aria-label={`${name && `${name}: `}at most ${whole(top)} vehicles running, and ${plural(index.events.length, "event")}`}>
			<path class="running" d={running} />
			<path class="halting" d={halting} />
			<path class="events" d={happened.map((p) => `M${p / most} 0V1`).join("")} />
		</svg>
	);
}

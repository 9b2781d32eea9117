// A study as it changes: one signal for each point, so that an update draws only the cells that it concerns.
import { batch, type Signal, signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, type Got, type Problem, type Schemas } from "../api";
import { follow } from "../events";
import { asProblem, isPassing, type Loaded, useLoad } from "../load";

export type Study = Got<"/studies/{id}">;
export type StudyState = NonNullable<Study["status"]>;
export type Runs = Schemas["PointRuns"];
export type Estimate = Schemas["MetricEstimate"];
export type Fate = Schemas["PointFate"];
export type Statistics = Got<"/studies/{id}/statistics">;

export type Cell = { runs: Runs; estimate?: Estimate; fate?: Fate };
/** What all cells' intervals are drawn on. */
export type Range = { low: number; high: number };
/** How a study stands as a whole. */
export type Standing = Pick<Study, "status" | "message" | "runs" | "eta">;

type Progress = Standing & { points: (Runs & { point: number })[] };

export const isOpen = (state: StudyState | undefined): boolean => state === "RUNNING";

export const addressOf = (id: string, rest = ""): string => `/studies/${encodeURIComponent(id)}${rest}`;

/** Whether two values of JSON, whose objects have the same names, are the same. */
function same(a: unknown, b: unknown): boolean {
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
	const names = Object.keys(a);
	return names.length === Object.keys(b).length && names.every((name) => same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]));
}

export class Live {
	readonly cells: Signal<Cell>[];
	readonly standing: Signal<Standing>;
	readonly range = signal<Range>({ low: 0, high: 1 });
	readonly notes = signal<string[]>([]);
	/** The metric of the numbers. */
	private metric = "";
	/** Grows with each run that ends, and with each change of the study's state. */
	readonly changes = signal(0);

	/** The numbers of the one before stay until there are new ones. */
	constructor(study: Study, before?: Live) {
		this.cells = study.points.map((p, i) => signal<Cell>({ ...before?.cells[i]?.peek(), runs: p.runs }));
		if (before) {
			this.range.value = before.range.peek();
			this.metric = before.metric;
		}
		this.standing = signal<Standing>(standingOf(study));
	}

	/** Takes counts, and reports whether the study is still the one that was loaded. */
	progress(p: Progress): boolean {
		if (p.points.some(({ point }) => !this.cells[point])) return false; // it was extended
		batch(() => {
			let ended = this.standing.value.status !== p.status;
			for (const { point, ...runs } of p.points) {
				const cell = this.cells[point]!;
				if (same(cell.value.runs, runs)) continue;
				ended ||= cell.value.runs.done !== runs.done;
				cell.value = { ...cell.value, runs };
			}
			this.standing.value = standingOf(p);
			if (ended) this.changes.value++;
		});
		return true;
	}

	/** Drops the numbers of any other metric: below this one's name they would be wrong. */
	about(metric: string): void {
		if (this.metric === metric) return;
		this.metric = metric;
		batch(() => {
			for (const cell of this.cells) if (cell.peek().estimate) cell.value = { ...cell.peek(), estimate: undefined };
		});
	}

	/** Takes the numbers of one metric. */
	numbers(s: Statistics): void {
		batch(() => {
			const fates = new Map(s.points.map((f) => [f.point, f]));
			const estimates = new Map(s.statistics.map((e) => [e.point, e]));
			this.cells.forEach((cell, point) => {
				const next = { runs: cell.value.runs, estimate: estimates.get(point), fate: fates.get(point) };
				if (!same(next.estimate, cell.value.estimate) || !same(next.fate, cell.value.fate)) cell.value = next;
			});
			const range = rangeOf(s.statistics);
			if (!same(range, this.range.value)) this.range.value = range;
			if (!same(s.notes, this.notes.value)) this.notes.value = s.notes;
		});
	}
}

const standingOf = ({ status, message, runs, eta }: Standing): Standing => ({ status, message, runs, eta });

/** The range of all intervals, a little widened, so that it does not change with every run. */
export function rangeOf(estimates: Pick<Estimate, "mean" | "low" | "high">[]): Range {
	let low = Infinity;
	let high = -Infinity;
	for (const e of estimates) {
		if (e.mean == null) continue;
		low = Math.min(low, e.low ?? e.mean);
		high = Math.max(high, e.high ?? e.mean);
	}
	if (low > high) return { low: 0, high: 1 };
	if (low === high) return { low: low - 1, high: high + 1 };
	const step = 10 ** Math.floor(Math.log10(high - low));
	return { low: Math.floor(low / step) * step, high: Math.ceil(high / step) * step };
}

const betweenNumbers = 1000; // milliseconds, while runs end

/** Loads a study, follows it, and reads the numbers of a metric again as runs end. */
export function useStudy(id: string): { study: Loaded<Study>; live: Live | undefined; connected: boolean } {
	const study = useLoad(id, (signal) => get<"/studies/{id}">(addressOf(id) as "/studies/{id}", signal));
	const [connected, setConnected] = useState(true);
	const before = useRef<Live | undefined>(undefined);
	const live = useMemo(() => (before.current = study.data && new Live(study.data, before.current)), [study.data]);
	useEffect(() => {
		if (!live || !isOpen(live.standing.value.status)) return;
		const left = new AbortController();
		const take = (event: { kind: string; data: string }): boolean => {
			if (event.kind === "end") {
				live.standing.value = { ...live.standing.value, ...(JSON.parse(event.data) as Pick<Standing, "status" | "message">), eta: null };
				live.changes.value++;
				study.reload(); // for what only the whole study has
				return true;
			}
			if (event.kind !== "progress" || live.progress(JSON.parse(event.data) as Progress)) return false;
			study.reload();
			return true;
		};
		follow(addressOf(id, "/events"), take, setConnected, left.signal).catch((error) => {
			setConnected(false);
			if (asProblem(error).status === 404) study.reload(); // it was deleted
		});
		return () => left.abort();
	}, [live]);
	return { study, live, connected };
}

/** Keeps the numbers of a metric up to date; it asks once at a time, and not more often than numbers are read. */
export function useNumbers(id: string, live: Live | undefined, metric: string): { problem: Problem | undefined; loaded: Statistics | undefined; again: () => void } {
	const [problem, setProblem] = useState<Problem>();
	const [loaded, setLoaded] = useState<{ metric: string; statistics: Statistics }>();
	const [round, setRound] = useState(0);
	const timer = useRef(0);
	useEffect(() => {
		if (!live || !metric) return;
		live.about(metric);
		const left = new AbortController();
		let seen = -1;
		let busy = false;
		const read = async () => {
			if (busy || left.signal.aborted) return;
			busy = true;
			let wait = betweenNumbers;
			const now = live.changes.peek();
			try {
				const s = await get<"/studies/{id}/statistics">(addressOf(id, `/statistics?metric=${encodeURIComponent(metric)}`) as "/studies/{id}/statistics", left.signal);
				if (left.signal.aborted) return;
				seen = now;
				live.numbers(s);
				setLoaded({ metric, statistics: s });
				setProblem(undefined);
			} catch (error) {
				if (left.signal.aborted) return;
				const failure = asProblem(error);
				setProblem(failure);
				if (!isPassing(failure)) return;
				wait = Math.max(5000, failure.retryAfter * 1000);
			} finally {
				busy = false;
			}
			clearTimeout(timer.current);
			timer.current = window.setTimeout(() => live.changes.peek() !== seen && void read(), wait);
		};
		const stop = live.changes.subscribe(() => {
			clearTimeout(timer.current);
			timer.current = window.setTimeout(() => void read(), seen < 0 ? 0 : betweenNumbers / 2);
		});
		return () => {
			stop();
			clearTimeout(timer.current);
			left.abort();
		};
	}, [live, metric, round]);
	return { problem, loaded: loaded?.metric === metric ? loaded.statistics : undefined, again: () => setRound((n) => n + 1) };
}

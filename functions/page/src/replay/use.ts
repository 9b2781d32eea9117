// A job's recording in a view: loaded, and followed while the run goes on.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, isFinished, type Job, Problem, send } from "../api";
import { follow } from "../events";
import { useLoad } from "../load";
import { Decoder } from "./decoder";
import { News } from "./news";
import { startDrawing } from "./painter";
import { type Answer, type Index, Recording } from "./recording";

/** One worker reads the segments of all views: it is kept, since starting one takes longer than most segments. */
let decoder: Decoder | undefined;
const started = () => (decoder ??= new Decoder());
const decode = (bytes: ArrayBuffer) => started().decode(bytes);

const early = 2000; // ms until a recording that could not be had is asked for again

export type Replay = {
	recording: Recording;
	/** There is something to show. */
	index: Index | undefined;
	/** Why there is nothing. */
	problem: Problem | undefined;
	settled: boolean;
	/** Grows with each segment that arrives or fails. */
	version: number;
};

export function useReplay(job: Job | undefined): Replay {
	const [version, setVersion] = useState(0);
	const [round, setRound] = useState(0);
	const id = job?.job_id ?? "";
	const finished = job !== undefined && isFinished(job.status);
	const recording = useMemo(() => {
		if (job?.options.replay) { // while the index is on its way; other jobs seldom have one
			started();
			startDrawing();
		}
		const left = new AbortController();
		const fetchPart = async (attempt: string, n: number) => {
			const answer = await send(`/jobs/${id}/replay/segments/${encodeURIComponent(attempt)}/${n}`, { signal: left.signal });
			return answer.arrayBuffer().catch(() => {
				throw new Problem(0, "unreachable", "No answer", "The connection broke. The page tries again.");
			});
		};
		const made = new Recording(fetchPart, decode, () => setVersion((v) => v + 1), () => setRound((r) => r + 1));
		return { made, left };
	}, [id]);
	useEffect(() => () => recording.left.abort(), [recording]);
	const news = useMemo(() => new News(), [id]);
	const goesOn = job !== undefined && !finished && Boolean(job.options.replay);
	useEffect(() => {
		if (!goesOn) return;
		const left = new AbortController();
		const take = (event: { kind: string }): boolean => {
			if (event.kind === "replay") news.hear();
			return event.kind === "end";
		};
		void follow(`/jobs/${id}/logs/stream`, take, (yes) => news.connect(yes), left.signal)
			.catch(() => undefined)
			.then(() => news.connect(false));
		return () => left.abort();
	}, [id, goesOn, news]);
	const loaded = useLoad<Answer | null>(
		`${id} ${finished} ${round}`,
		async (signal) => {
			if (!id) return null;
			news.read();
			try {
				return await get<"/jobs/{id}/replay">(`/jobs/${id}/replay`, signal);
			} catch (error) {
				// Before the first segment there is no recording yet.
				if (!finished && error instanceof Problem && (error.status === 404 || error.status === 409)) return null;
				throw error;
			}
		},
		(index) => (index ? (index.complete ? undefined : news.next()) : finished || !id ? undefined : early),
	);
	if (loaded.data) recording.made.take(loaded.data);
	return { recording: recording.made, index: recording.made.index, problem: loaded.problem, settled: !loaded.loading, version };
}

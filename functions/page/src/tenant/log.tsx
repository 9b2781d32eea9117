// The live log: lines appear as they arrive, and SUMO's step lines drive a small chart of vehicles on the road.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isFinished, type Job, type Problem } from "../api";
import { Chart } from "../chart";
import { follow } from "../events";
import { clock, whole } from "../format";
import { asProblem } from "../load";
import { Card, ProblemNotice } from "../parts";
import { leadOf, linkToLead } from "../replay/lead";

/** More lines than anyone scrolls through, few enough for the browser to keep up. */
const maxLines = 10_000;

type Step = { time: number; running: number; waiting: number };

const stepLine = /^\[ *[\d.]+ %\] +t=([\d.]+) s +running (\d+) +waiting (\d+)/;

function parseStep(line: string): Step | undefined {
	const m = stepLine.exec(line);
	return m ? { time: Number(m[1]), running: Number(m[2]), waiting: Number(m[3]) } : undefined;
}

export function Log({ job }: { job: Job }) {
	const [log, setLog] = useState<{ lines: string[]; left: number }>({ lines: [], left: 0 });
	const [steps, setSteps] = useState<Step[]>([]);
	const [remark, setRemark] = useState("");
	const [connected, setConnected] = useState(true);
	const [problem, setProblem] = useState<Problem>();

	useEffect(() => {
		const stop = new AbortController();
		// A long log arrives in thousands of events: they are rendered in batches, one per frame.
		let fresh: string[] = [];
		let frame = 0;
		const show = () => {
			frame = 0;
			const batch = fresh;
			fresh = [];
			setLog(({ lines, left }) => {
				const all = lines.concat(batch);
				return { lines: all.slice(-maxLines), left: left + Math.max(0, all.length - maxLines) };
			});
			const counted = batch.map(parseStep).filter((s) => s !== undefined);
			if (counted.length > 0) setSteps((before) => before.concat(counted));
		};
		follow(
			`/jobs/${job.job_id}/logs/stream`,
			(event) => {
				if (event.kind === "end") return true;
				if (event.kind !== "message") return false;
				const data = JSON.parse(event.data) as { message?: string; restarted?: boolean; skipped?: number };
				if (data.restarted) {
					fresh = [];
					setLog({ lines: [], left: 0 });
					setSteps([]);
				} else if (event.id === "" && !data.skipped) {
					setRemark(data.message ?? ""); // not a line of the log, but why there is none yet
					return false;
				}
				fresh.push(data.message ?? "");
				frame ||= requestAnimationFrame(show);
				return false;
			},
			setConnected,
			stop.signal,
		).catch((error) => setProblem(asProblem(error)));
		return () => {
			stop.abort();
			cancelAnimationFrame(frame);
		};
	}, [job.job_id]);

	const now = steps.at(-1);
	return (
		<>
			{problem && <ProblemNotice problem={problem} />}
			{!isFinished(job.status) && now && steps.length > 1 && (
				<Card
					title="On the road now"
					beside={
						<span>
							at {clock(now.time)}: <strong>{whole(now.running)}</strong> running, <strong>{whole(now.waiting)}</strong> waiting to enter
						</span>
					}
				>
					<Chart
						label={`Vehicles over simulated time; now ${now.running} running and ${now.waiting} waiting`}
						x={steps.map((s) => s.time)}
						xLabel="simulated time"
						unit="vehicles"
						height={160}
						curves={[
							{ name: "running", values: steps.map((s) => s.running) },
							{ name: "waiting", values: steps.map((s) => s.waiting) },
						]}
					/>
				</Card>
			)}
			<Lines {...log} remark={remark} live={!isFinished(job.status)} connected={connected} job={job} />
		</>
	);
}

function Lines({ lines, left, remark, live, connected, job }: { lines: string[]; left: number; remark: string; live: boolean; connected: boolean; job: Job }) {
	const [wanted, setWanted] = useState("");
	const [following, setFollowing] = useState(live);
	const box = useRef<HTMLDivElement>(null);
	const shown = useMemo(() => (wanted ? lines.filter((l) => l.toLowerCase().includes(wanted.toLowerCase())) : lines), [lines, wanted]);

	useEffect(() => {
		if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
	}, [shown, following]);

	return (
		<Card
			title="Log"
			beside={
				<div class="filters">
					{live && !connected && <span class="warn">Connection lost; reconnecting…</span>}
					<label>
						<span>Find</span>
						<input type="search" value={wanted} onInput={(e) => setWanted(e.currentTarget.value)} />
					</label>
					<label class="check">
						<input type="checkbox" checked={following} onChange={(e) => setFollowing(e.currentTarget.checked)} />
						<span>Follow</span>
					</label>
				</div>
			}
		>
			<div
				class="log"
				role="log"
				aria-live="off"
				aria-label={`Log of ${job.scenario_id}`}
				tabIndex={0}
				ref={box}
				onScroll={(e) => {
					const b = e.currentTarget;
					// Scrolling up means reading: stop following.
					if (following && live && b.scrollTop + b.clientHeight < b.scrollHeight - 80) setFollowing(false);
				}}
			>
				{left > 0 && <div class="muted">… {whole(left)} earlier lines are in log.txt, under Results.</div>}
				{shown.length === 0 && <div class="muted">{wanted ? "No lines match." : remark ? remark : live ? "No lines yet." : "The log is empty."}</div>}
				<Blocks lines={shown} job={job.options.check || job.options.tool ? undefined : job.job_id} />
			</div>
			{wanted && <p class="small muted">{`${whole(shown.length)} of ${whole(lines.length)} lines`}</p>}
		</Card>
	);
}

const blockSize = 200;

/** Lines in blocks, so that a new line makes the browser lay out its own block only. Those that lead to a place on the job's map are links. */
function Blocks({ lines, job }: { lines: string[]; job: string | undefined }) {
	const blocks = [];
	for (let i = 0; i < lines.length; i += blockSize) blocks.push(lines.slice(i, i + blockSize));
	return (
		<>
			{blocks.map((block, i) => (
				<div class="block" key={i}>
					{block.map((line, k) => {
						const kind = kindOf(line);
						const lead = job && kind && kind !== "step" ? leadOf(line) : undefined;
						return (
							<div key={k} class={kind}>
								{lead ? (
									<a href={linkToLead(job!, lead)} title="Show it on the map">
										{line}
									</a>
								) : (
									line || "\u00a0"
								)}
							</div>
						);
					})}
				</div>
			))}
		</>
	);
}

function kindOf(line: string): string | undefined {
	// sumo-run's last line names the reason for a failure: "sumo-run: DeadlineExceeded: …".
	if (/^Error|^sumo-run: [A-Z]\w+: /.test(line)) return "error";
	if (/^Warning/i.test(line)) return "warning";
	if (stepLine.test(line)) return "step";
	return undefined;
}

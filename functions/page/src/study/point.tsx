// One point of a study: what its runs come to, and the runs themselves.
import { get, isFinished, type Job, type State } from "../api";
import { meanText, metricName, number, plural, quantity } from "../format";
import { useLoad } from "../load";
import { Card, Elapsed, Empty, Loading, ProblemNotice, Scroll, StatePill, Title } from "../parts";
import { linkTo } from "../route";
import { reasonsText } from "./grid";
import { labelOf } from "./layout";
import { addressOf, isOpen, type Live, type Study } from "./live";
import { Notes } from "./notes";

const interval = 2000; // milliseconds, while runs end
const usual = ["mean_travel_time", "mean_time_loss", "mean_waiting_time", "mean_depart_delay", "mean_speed", "vehicles_finished", "teleports"];
const mostRuns = 200;

export function PointPage({ study, live, point }: { study: Study; live: Live; point: number }) {
	const id = study.study_id!;
	const p = study.points[point];
	const back = <a href={linkTo("studies", id)}>All points of {study.name}</a>;
	if (!p) {
		return (
			<>
				<Title beside={back}>No such point</Title>
				<Empty>The study has {plural(study.points.length, "point")}, counted from 0.</Empty>
			</>
		);
	}
	const label = labelOf(p, (study.plan.axes ?? []).map((a) => a.name));
	return (
		<>
			<Title beside={back}>{label}</Title>
			<Estimates study={study} live={live} point={point} />
			<Runs study={study} live={live} point={point} label={label} />
		</>
	);
}

function Estimates({ study, live, point }: { study: Study; live: Live; point: number }) {
	const metrics = study.plan.metrics?.length ? study.plan.metrics : usual.filter((m) => study.metrics.includes(m));
	const query = metrics.map((m) => `metric=${encodeURIComponent(m)}`).join("&");
	const numbers = useLoad(
		`${study.study_id} ${live.changes.value > 0} ${query}`,
		(signal) => get<"/studies/{id}/statistics">(addressOf(study.study_id!, `/statistics?${query}`) as "/studies/{id}/statistics", signal),
		() => (isOpen(live.standing.value.status) ? interval : undefined),
	);
	if (numbers.problem && !numbers.data) return <ProblemNotice problem={numbers.problem} retry={numbers.reload} />;
	if (!numbers.data) return <Loading what="the numbers" />;
	const fate = numbers.data.points.find((f) => f.point === point);
	const units = new Map(numbers.data.metrics.map((m) => [m.name, m.unit]));
	const rows = numbers.data.statistics.filter((e) => e.point === point);
	const text = (v: number | null, unit: string | undefined) => (v == null ? "–" : quantity(v, unit ?? "1", true));
	return (
		<Card title="Numbers">
			{fate?.incomplete && (
				<div class="notice warn">
					<strong>Incomplete.</strong> {plural(fate.missing, "run")} missing{reasonsText(fate.reasons) && `: ${reasonsText(fate.reasons)}`}.{fate.missing > (fate.reasons.Cancelled ?? 0) && " Runs in congestion fail first, so means over the rest look better than they are."}
				</div>
			)}
			<Scroll label="Metrics of this point">
				<table class="list">
					<thead>
						<tr>
							<th scope="col">Metric</th>
							<th scope="col" class="right">n</th>
							<th scope="col" class="right">Mean ± half width</th>
							<th scope="col" class="right">Relative</th>
							<th scope="col" class="right">Standard deviation</th>
							<th scope="col" class="right">Least</th>
							<th scope="col" class="right">Median</th>
							<th scope="col" class="right">Most</th>
							<th scope="col" class="right">Runs needed</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((e) => {
							const unit = units.get(e.metric);
							return (
								<tr key={e.metric}>
									<th scope="row">{metricName(e.metric)}</th>
									<td class="right figure">{e.n}</td>
									<td class="right figure">{e.mean == null ? "–" : `${meanText(e.mean, e.half_width)}${unit && unit !== "1" ? ` ${unit}` : ""}`}</td>
									<td class="right figure">{e.relative_half_width == null ? "–" : `${number(e.relative_half_width * 100, 2)} %`}</td>
									<td class="right figure">{e.constant ? "constant" : text(e.sd, unit)}</td>
									<td class="right figure">{text(e.min, unit)}</td>
									<td class="right figure">{text(e.median, unit)}</td>
									<td class="right figure">{text(e.max, unit)}</td>
									<td class="right figure">{e.needed == null ? "–" : e.needed >= 1_000_000 ? "≥ 1,000,000" : number(e.needed, 7)}</td>
								</tr>
							);
						})}
					</tbody>
				</table>
			</Scroll>
			{fate && (
				<p class="small muted">
					{fate.succeeded === 0 ? "No run has succeeded" : `${plural(fate.succeeded, "run")} succeeded`}
					{fate.open > 0 && `, ${fate.open} have not ended`}
					{fate.teleports != null && `; ${number(fate.teleports)} teleports and`}
					{fate.unfinished_trips != null && ` ${number(fate.unfinished_trips)} unfinished trips on average`}
					{fate.sumo_versions.length > 0 && `; SUMO ${fate.sumo_versions.join(", ")}`}.
				</p>
			)}
			<Notes of={numbers.data.notes} />
		</Card>
	);
}

const order: State[] = ["FAILED", "CANCELLED", "RUNNING", "PENDING", "QUEUED", "SUCCEEDED"];

function Runs({ study, live, point, label }: { study: Study; live: Live; point: number; label: string }) {
	const p = study.points[point]!;
	const address = `/jobs?study=${encodeURIComponent(study.study_id!)}&point=${point}&limit=${mostRuns}` as "/jobs";
	const open = isOpen(live.standing.value.status);
	const runs = useLoad(`${address} ${open}`, (signal) => get<"/jobs">(address, signal), (page) => (open || page?.jobs.some((j) => !isFinished(j.status)) ? interval : undefined));
	const jobs = [...(runs.data?.jobs ?? [])].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status) || (a.seed ?? 0) - (b.seed ?? 0));
	const counts = live.cells[point]!.value.runs;
	return (
		<Card title="Runs" beside={<span class="muted small">{plural(counts.done, "run")} of {p.needed} ended. The seeds are the same at every point.</span>}>
			{runs.problem && <ProblemNotice problem={runs.problem} retry={runs.reload} />}
			{runs.loading && <Loading what="runs" />}
			{runs.data && jobs.length === 0 && <Empty>No run of this point has started yet.</Empty>}
			{jobs.length > 0 && (
				<table class="list stack">
					<thead>
						<tr>
							<th scope="col">Run</th>
							<th scope="col">Status</th>
							<th scope="col">What happened</th>
							<th scope="col" class="right">Duration</th>
						</tr>
					</thead>
					<tbody>
						{jobs.map((j) => (
							<Run key={j.job_id} job={j} label={label} />
						))}
					</tbody>
				</table>
			)}
			{runs.data?.next_cursor && <p class="small muted">Only the newest {mostRuns} are shown.</p>}
		</Card>
	);
}

function Run({ job: j, label }: { job: Job; label: string }) {
	return (
		<tr>
			<td class="name">
				<a href={linkTo("jobs", j.job_id)} aria-label={`Seed ${j.seed} of ${label}`}>
					Seed {j.seed}
				</a>
				<span class="id" title={j.job_id}>
					…{j.job_id.slice(-8)}
				</span>
			</td>
			<td>
				<StatePill state={j.status} reason={j.reason} />
				{j.reason && j.reason !== "Cancelled" && <span class="reason">{j.reason}</span>}
			</td>
			<td class="grow">{j.error ? <span class="clip" title={j.error}>{j.error}</span> : <span class="muted idle">–</span>}</td>
			<td class="right figure" data-label="duration">
				<Elapsed from={j.started_at} to={j.finished_at} />
			</td>
		</tr>
	);
}

// The tenant's view: usage against the limits, and the jobs, newest first.
import { useState } from "preact/hooks";
import { get, type Got, isFinished, type Job, type State } from "../api";
import { whole } from "../format";
import { useLoad, usePages } from "../load";
import { Action, Card, Elapsed, Empty, Loading, Meter, ProblemNotice, Progress, StatePill, stateWord, Tile, Time, Title } from "../parts";
import { go, linkTo } from "../route";

const states: State[] = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"];
/** Few enough curves to read a chart and to distinguish their colours. */
export const maxCompared = 6;

/** Milliseconds between polls: short enough to show progress, longer when nothing changes. */
const busyInterval = 1500;
const idleInterval = 10_000;

export function Jobs() {
	return (
		<>
			<Title
				beside={
					<a class="button primary" href={linkTo("submit")}>
						Submit a job
					</a>
				}
			>
				Jobs
			</Title>
			<Usage />
			<List />
		</>
	);
}

function Usage() {
	const dashboard = useLoad(
		"dashboard",
		(signal) => get<"/tenants/me/dashboard">("/tenants/me/dashboard", signal),
		(d) => (d && d.current_usage.concurrent_jobs + d.stats.queued > 0 ? busyInterval : idleInterval),
	);
	if (dashboard.problem && !dashboard.data) return <ProblemNotice problem={dashboard.problem} retry={dashboard.reload} />;
	if (!dashboard.data) return <Loading what="limits and usage" />;
	const { plan_limits: limits, current_usage: use, stats, notes } = dashboard.data;
	return (
		<>
		{notes.map((note) => (
			<div class="notice warn" key={note}>
				{note}
			</div>
		))}
		<div class="tiles" aria-label="Limits and usage">
			<div class="tile wide">
				<Meter label="Active jobs" used={use.concurrent_jobs} limit={limits.max_concurrent_jobs} />
				<Meter label="Cores" used={Number(use["requests.cpu"])} limit={limits.max_cpu} />
				<Meter label="Memory" used={parseFloat(use["requests.memory"])} limit={limits.max_memory_gi} unit="GiB" />
			</div>
			<Tile label="Queued">{whole(stats.queued)}</Tile>
			<Tile label="Starting">{whole(stats.pending)}</Tile>
			<Tile label="Running">{whole(stats.running)}</Tile>
			<Tile label="Succeeded" tone="good">
				{whole(stats.succeeded)}
			</Tile>
			<Tile label="Failed" tone={stats.failed > 0 ? "bad" : undefined}>
				{whole(stats.failed)}
			</Tile>
			<Tile label="Cancelled">{whole(stats.cancelled)}</Tile>
		</div>
		</>
	);
}

type Filter = { status: string; name: string; label: string };

function List() {
	const [filter, setFilter] = useState<Filter>({ status: "", name: "", label: "" });
	const [chosen, setChosen] = useState<string[]>([]);
	const list = usePages(
		"/jobs",
		{ status: filter.status, scenario_id: filter.name, label: filter.label },
		(page: Got<"/jobs">) => page.jobs,
		(jobs) => (jobs?.some((j) => !isFinished(j.status)) ? busyInterval : idleInterval),
	);
	const jobs = list.data?.items ?? [];
	const filtered = Boolean(filter.status || filter.name || filter.label);

	const toggle = (id: string) => setChosen((c) => (c.includes(id) ? c.filter((x) => x !== id) : [...c, id]));

	return (
		<Card
			title="All jobs"
			beside={
				<div class="filters">
					<label>
						<span>Status</span>
						<select value={filter.status} onChange={(e) => setFilter({ ...filter, status: e.currentTarget.value })}>
							<option value="">Any</option>
							{states.map((s) => (
								<option key={s} value={s}>
									{stateWord(s)}
								</option>
							))}
						</select>
					</label>
					<label>
						<span>Name</span>
						<input type="search" value={filter.name} maxLength={100} placeholder="exact" onChange={(e) => setFilter({ ...filter, name: e.currentTarget.value.trim() })} />
					</label>
					<label>
						<span>Label</span>
						<input type="search" value={filter.label} maxLength={200} placeholder="key=value" onChange={(e) => setFilter({ ...filter, label: e.currentTarget.value.trim() })} />
					</label>
				</div>
			}
		>
			{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
			{list.loading && <Loading what="jobs" />}
			{list.data && jobs.length === 0 && (
				<Empty>
					{filtered ? (
						<p>No jobs match the filter.</p>
					) : (
						<>
							<p>There are no jobs yet. Drop a scenario zip to run the first one.</p>
							<a class="button primary" href={linkTo("submit")}>
								Submit a job
							</a>
						</>
					)}
				</Empty>
			)}
			{jobs.length > 0 && (
				<table class="list stack jobs">
					<thead>
						<tr>
							<th class="choose">
								<span class="hidden">Select to compare</span>
							</th>
							<th>Name</th>
							<th>Status</th>
							<th>Progress</th>
							<th>Submitted</th>
							<th class="right">Duration</th>
							<th class="right">Seed</th>
						</tr>
					</thead>
					<tbody>
						{jobs.map((j) => (
							<Row key={j.job_id} job={j} chosen={chosen.includes(j.job_id)} full={chosen.length >= maxCompared} toggle={() => toggle(j.job_id)} />
						))}
					</tbody>
				</table>
			)}
			{list.data?.more && (
				<div class="more">
					<Action act={list.showMore}>Show older jobs</Action>
				</div>
			)}
			{chosen.length > 0 && (
				<div class="selection" role="region" aria-label="Selected jobs">
					<span>
						{chosen.length} selected{chosen.length < 2 && ": select another to compare"}
					</span>
					<button type="button" class="quiet" onClick={() => setChosen([])}>
						Clear
					</button>
					<button type="button" class="primary" disabled={chosen.length < 2} onClick={() => go("compare", chosen.join(","))}>
						Compare
					</button>
				</div>
			)}
		</Card>
	);
}

function Row({ job, chosen, full, toggle }: { job: Job; chosen: boolean; full: boolean; toggle: () => void }) {
	const comparable = job.status === "SUCCEEDED" && !job.imported;
	const use = job.imported ? "Its numbers are not here: the predecessor of this service ran it" : "Only succeeded jobs can be compared";
	return (
		<tr>
			<td class="choose">
				<input
					type="checkbox"
					aria-label={`Compare ${job.scenario_id}`}
					title={comparable ? (full && !chosen ? `At most ${maxCompared} can be compared` : "Select to compare") : use}
					disabled={!comparable || (full && !chosen)}
					checked={chosen}
					onChange={toggle}
				/>
			</td>
			<td class="name">
				<a href={linkTo("jobs", job.job_id)}>{job.scenario_id}</a>
				<span class="id" title={job.job_id}>
					…{job.job_id.slice(-8)}
				</span>
			</td>
			<td>
				<StatePill state={job.status} reason={job.reason} />
				{job.reason && job.reason !== "Cancelled" && <span class="reason">{job.reason}</span>}
			</td>
			<td class="grow"><Course job={job} /></td>
			<td>
				<Time at={job.submitted_at} />
			</td>
			<td class="right figure" data-label="duration">
				<Elapsed from={job.started_at} to={job.finished_at} />
			</td>
			<td class="right figure" data-label="seed">{job.imported ? <span class="muted idle">–</span> : job.seed ?? <span class="muted">default</span>}</td>
		</tr>
	);
}

/** A job's progress, or the error that ended it. */
export function Course({ job }: { job: Job }) {
	if (job.error) {
		return (
			<span class="clip" title={job.error}>
				{job.error}
			</span>
		);
	}
	if (isFinished(job.status)) return <span class="muted idle">–</span>;
	return <Progress share={job.progress} label={`Progress of ${job.scenario_id}`} />;
}

// The operator's overview: machines, queue, activity per minute, and failures.
import { useState } from "preact/hooks";
import { get, type Got } from "../api";
import { Chart } from "../chart";
import { duration, number, whole } from "../format";
import { type Loaded, useLoad } from "../load";
import { Bar, Card, Empty, Loading, ProblemNotice, Tile, Time, Title, Scroll } from "../parts";
import { linkTo } from "../route";

type Queue = Got<"/admin/queue">;
type Stats = Got<"/admin/stats">;

const interval = 3000;
/** Statistics are per minute, so several refreshes within each are enough. */
const statsInterval = 15_000;

export function Overview() {
	const activity = useLoad("activity", (signal) => get<"/admin/activity">("/admin/activity", signal), () => interval);
	const queue = useLoad("queue", (signal) => get<"/admin/queue">("/admin/queue", signal), () => interval);
	return (
		<>
			<Title>Overview</Title>
			<Numbers activity={activity} queue={queue} />
			<Minutes />
			<div class="columns">
				<Nodes />
				<Warmups />
			</div>
			<Tenants queue={queue} />
		</>
	);
}

function Numbers({ activity, queue }: { activity: Loaded<Got<"/admin/activity">>; queue: Loaded<Queue> }) {
	if (activity.problem && !activity.data) return <ProblemNotice problem={activity.problem} retry={activity.reload} />;
	if (!activity.data) return <Loading what="activity" />;
	const jobs = activity.data.db_jobs as Record<string, number>;
	const wait = queue.data?.oldest_wait_seconds;
	return (
		<div class="tiles" aria-label="Jobs of all tenants">
			<Tile label="Machines">{activity.data.nodes}</Tile>
			<Tile label="Queued">{whole(queue.data?.queued ?? jobs.QUEUED ?? 0)}</Tile>
			<Tile label="Longest wait">{wait ? duration(wait) : "–"}</Tile>
			<Tile label="Starting">{whole(jobs.PENDING ?? 0)}</Tile>
			<Tile label="Running">{whole(jobs.RUNNING ?? 0)}</Tile>
			<Tile label="Succeeded" tone="good">
				{whole(jobs.SUCCEEDED ?? 0)}
			</Tile>
			<Tile label="Failed" tone={jobs.FAILED ? "bad" : undefined}>
				{whole(jobs.FAILED ?? 0)}
			</Tile>
			<Tile label="Cancelled">{whole(jobs.CANCELLED ?? 0)}</Tile>
		</div>
	);
}

const spans = [
	{ minutes: 60, title: "the last hour" },
	{ minutes: 360, title: "the last 6 hours" },
	{ minutes: 1440, title: "the last day" },
];

function Minutes() {
	const [minutes, setMinutes] = useState(60);
	const stats = useLoad(`stats ${minutes}`, (signal) => get<"/admin/stats">(`/admin/stats?minutes=${minutes}`, signal), () => statsInterval);
	return (
		<div class="columns uneven">
			<Card
				title="Jobs per minute"
				beside={
					<select aria-label="Time span" value={minutes} onChange={(e) => setMinutes(Number(e.currentTarget.value))}>
						{spans.map((s) => (
							<option key={s.minutes} value={s.minutes}>
								{s.title}
							</option>
						))}
					</select>
				}
			>
				{stats.problem && <ProblemNotice problem={stats.problem} retry={stats.reload} />}
				{stats.loading && <Loading what="statistics" />}
				{stats.data && <PerMinute stats={stats.data} />}
			</Card>
			<Card title={`Failures by reason, ${spans.find((s) => s.minutes === minutes)!.title}`}>
				{stats.loading && <Loading what="failures" />}
				{stats.data && <Failures failures={stats.data.failures} />}
			</Card>
		</div>
	);
}

function PerMinute({ stats }: { stats: Stats }) {
	const { buckets } = stats;
	const first = buckets[0];
	if (!first) return <Empty>No activity yet.</Empty>;
	// A step spans its minute up to the next, so the last minute needs an end.
	const ended = (of: (b: Stats["buckets"][number]) => number) => [...buckets.map(of), of(buckets.at(-1)!)];
	const width = buckets[1] ? (Date.parse(buckets[1].at) - Date.parse(first.at)) / 1000 : 60;
	const sum = (of: (b: Stats["buckets"][number]) => number) => whole(buckets.reduce((n, b) => n + of(b), 0));
	return (
		<Chart
			label={`In ${stats.minutes} minutes ${sum((b) => b.submitted)} jobs were submitted, ${sum((b) => b.started)} started, ${sum((b) => b.finished)} finished and ${sum((b) => b.failed)} failed.`}
			x={[...buckets, undefined].map((b) => (b ? Date.parse(b.at) / 1000 : Date.parse(buckets.at(-1)!.at) / 1000 + width))}
			xLabel="time"
			xKind="time"
			unit="jobs"
			curves={[
				{ name: "submitted", values: ended((b) => b.submitted), hue: 0, filled: true },
				{ name: "started", values: ended((b) => b.started), hue: 2, dashed: true },
				{ name: "finished", values: ended((b) => b.finished), hue: 3 },
				{ name: "failed", values: ended((b) => b.failed), hue: 1 },
			]}
			shape="steps"
		/>
	);
}

function Failures({ failures }: { failures: Stats["failures"] }) {
	if (failures.length === 0) return <Empty>No jobs failed in this period.</Empty>;
	const most = Math.max(...failures.map((f) => f.count));
	return (
		<table class="list narrow">
			<tbody>
				{failures.map((f) => (
					<tr key={f.reason}>
						<th scope="row">{f.reason || "no reason"}</th>
						<td class="grow">
							<Bar label={`Failures by ${f.reason || "no reason"}`} value={f.count} limit={most} />
						</td>
						<td class="right figure">{whole(f.count)}</td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

/** A Kubernetes quantity such as 24684092Ki in GiB, the unit of tenants' limits. */
function size(quantity: string | undefined): string {
	const m = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|m)?$/.exec(quantity ?? "");
	if (!m) return quantity ?? "–";
	const factors: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, k: 1e3, M: 1e6, G: 1e9, T: 1e12, m: 1e-3 };
	return `${number((Number(m[1]) * (factors[m[2] ?? ""] ?? 1)) / 2 ** 30)} GiB`;
}

const cores = (quantity: string | undefined): string => (quantity?.endsWith("m") ? number(Number(quantity.slice(0, -1)) / 1000) : (quantity ?? "–"));

function Nodes() {
	const cluster = useLoad("cluster", (signal) => get<"/admin/cluster">("/admin/cluster", signal), () => statsInterval);
	return (
		<Card title="Machines that run jobs">
			{cluster.problem && <ProblemNotice problem={cluster.problem} retry={cluster.reload} />}
			{cluster.loading && <Loading what="machines" />}
			{cluster.data && cluster.data.nodes.length === 0 && <Empty>No machines at the moment. One starts when a job needs it.</Empty>}
			{cluster.data && cluster.data.nodes.length > 0 && (
				<Scroll label="Machines">
					<table class="list">
						<thead>
							<tr>
								<th>Name</th>
								<th>Status</th>
								<th class="right">Runs</th>
								<th class="right">Cores</th>
								<th class="right">Memory</th>
								<th>Since</th>
							</tr>
						</thead>
						<tbody>
							{cluster.data.nodes.map((n) => (
								<tr key={n.name}>
									<td>{n.name}</td>
									<td>{n.status.includes("Ready") ? <span class="pill succeeded">Ready</span> : <span class="pill failed">Not ready</span>}</td>
									<td class="right figure">{n.pods_running}</td>
									<td class="right figure">{cores(n.allocatable.cpu)}</td>
									<td class="right figure">{size(n.allocatable.memory)}</td>
									<td>
										<Time at={n.created} />
									</td>
								</tr>
							))}
						</tbody>
					</table>
				</Scroll>
			)}
		</Card>
	);
}

function Warmups() {
	const warm = useLoad("warm", (signal) => get<"/admin/warmup/status">("/admin/warmup/status", signal), () => statsInterval);
	return (
		<Card title="Warm-ups">
			{warm.problem && <ProblemNotice problem={warm.problem} retry={warm.reload} />}
			{warm.data && <p class="muted">{warm.data.message}</p>}
			{warm.data && warm.data.warmup_jobs.length > 0 && (
				<table class="list">
					<tbody>
						{warm.data.warmup_jobs.map((w) => (
							<tr key={w.warmup_id}>
								<td>{w.name}</td>
								<td>{w.status}</td>
								<td>
									<Time at={w.created_at} />
								</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
		</Card>
	);
}

function Tenants({ queue }: { queue: Loaded<Queue> }) {
	return (
		<Card title="Usage by tenant" beside={<a href={linkTo("tenants")}>Manage tenants</a>}>
			{queue.problem && <ProblemNotice problem={queue.problem} retry={queue.reload} />}
			{queue.loading && <Loading what="the queue" />}
			{queue.data?.tenants.length === 0 && <Empty>No tenant has queued or running jobs.</Empty>}
			{queue.data && queue.data.tenants.length > 0 && (
				<Scroll label="Usage by tenant">
					<table class="list">
						<thead>
							<tr>
								<th>Tenant</th>
								<th class="right">Queued</th>
								<th class="right">Longest wait</th>
								<th class="right">Active</th>
								<th>Cores</th>
								<th>Memory</th>
							</tr>
						</thead>
						<tbody>
							{queue.data.tenants.map((t) => (
								<tr key={t.tenant_id}>
									<td class="tenant">{t.tenant_id}</td>
									<td class="right figure">{whole(t.queued)}</td>
									<td class="right figure">{t.oldest_wait_seconds ? duration(t.oldest_wait_seconds) : "–"}</td>
									<td class="right figure">
										{whole(t.concurrent_jobs_in_use)} of {whole(t.max_concurrent_jobs)}
									</td>
									<td>
										<Used label={`Cores of ${t.tenant_id}`} used={t.cpu_in_use} limit={t.max_cpu} />
									</td>
									<td>
										<Used label={`Memory of ${t.tenant_id}`} used={t.memory_gi_in_use} limit={t.max_memory_gi} unit="GiB" />
									</td>
								</tr>
							))}
						</tbody>
					</table>
				</Scroll>
			)}
		</Card>
	);
}

function Used({ label, used, limit, unit = "" }: { label: string; used: number; limit: number; unit?: string }) {
	return (
		<span class="used">
			<Bar label={label} value={used} limit={limit} />
			<span class="figure">
				{used} of {limit} {unit}
			</span>
		</span>
	);
}

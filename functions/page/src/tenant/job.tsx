// One job: its progress and log and, once it has finished, its results.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { call, download, get, isFinished, type Job } from "../api";
import { Drawn } from "../drawn";
import { MapView } from "../map/view";
import { useLoad } from "../load";
import { Action, Card, Copy, Dialog, Elapsed, Faults, Loading, ProblemNotice, Progress, announce, StatePill, Tabs, Time, Title } from "../parts";
import { bytes, duration, metricName, plural, quantity, whole } from "../format";
import { leadOf, linkToLead } from "../replay/lead";
import { go, linkTo } from "../route";
import { Counts } from "./counts";
import { labelText } from "./labels";
import { Log } from "./log";
import { Plots } from "./plots";

const pollInterval = 1000;

export function JobPage({ id, tab }: { id: string; tab: string }) {
	const path = `/jobs/${encodeURIComponent(id)}`;
	const job = useLoad(id, (signal) => get<"/jobs/{id}">(path, signal), (j) => (j && isFinished(j.status) ? undefined : pollInterval));
	// A job that was deleted while it was shown is shown no longer.
	if (!job.data || job.problem?.status === 404) {
		return (
			<>
				<Title>Job</Title>
				{job.problem ? <ProblemNotice problem={job.problem} retry={job.reload} /> : <Loading what="the job" />}
			</>
		);
	}
	const j = job.data;
	const finished = isFinished(j.status);
	const check = Boolean(j.options.check);
	const views = viewsOf(j);
	const shown = views.includes(tab) ? tab : j.imported ? "results" : check ? (finished ? "problems" : "log") : j.status === "SUCCEEDED" && views.includes("summary") ? "summary" : "log";
	return (
		<>
			<Title beside={<Actions job={j} changed={job.reload} />}>{j.scenario_id}</Title>
			{job.problem && <ProblemNotice problem={job.problem} />}
			<Facts job={j} />
			<Tabs
				label="Views of this job"
				at={shown}
				tabs={views.map((name) => ({ name, title: name[0]!.toUpperCase() + name.slice(1), href: linkTo("jobs", id, name) }))}
			/>
			{shown === "log" && <Log job={j} />}
			{shown === "problems" && (finished ? <Problems job={j} /> : <NotYet what="The list of problems" />)}
			{shown === "events" && <Events job={j} />}
			{shown === "summary" && (finished ? <Summary job={j} /> : <NotYet what="The summary" />)}
			{shown === "results" && (j.imported ? <Elsewhere job={j} /> : finished ? <Files job={j} /> : <NotYet what="The list of files" />)}
			{shown === "plots" && (j.options.tool ? <Convergence job={j} /> : finished ? <Plots job={j} /> : <NotYet what="Plots" />)}
			{shown === "map" && <MapView job={j} />}
			{shown === "counts" && (finished ? <Counts job={j} /> : <NotYet what="The comparison with traffic counts" />)}
		</>
	);
}

function viewsOf(job: Job): string[] {
	if (job.imported) return ["results"]; // its only event is the import
	if (job.options.check) return ["problems", "log", "events"];
	if (job.options.tool) return converged(job) ? ["log", "plots", "results", "events"] : ["log", "results", "events"];
	return ["summary", "log", "plots", "map", "counts", "results", "events"];
}

/** Whether the tool of a job has left how it converged. */
const converged = (job: Job): boolean => job.result_files?.files?.some((f) => f.name === "convergence.json") ?? false;

function Convergence({ job }: { job: Job }) {
	return <Drawn title="Convergence" alt="Mean travel time and its change in each iteration: the numbers are in convergence.json" address={`/jobs/${job.job_id}/plots/convergence`} file={`${job.scenario_id}-convergence`} />;
}

/** What SUMO said about a scenario that was only checked. */
function Problems({ job }: { job: Job }) {
	return (
		<Card title="What SUMO says">
			{job.problems.length > 0 ? <Faults faults={job.problems} /> : <div class="empty">{job.status === "SUCCEEDED" ? "SUMO loads the scenario without a complaint." : "SUMO named no problem; see the log."}</div>}
		</Card>
	);
}

function NotYet({ what }: { what: string }) {
	return <div class="empty">{what} will be here once the job has finished. Until then, follow its log.</div>;
}

function Actions({ job, changed }: { job: Job; changed: () => void }) {
	const [asking, setAsking] = useState(false);
	const path = `/jobs/${job.job_id}`;
	if (!isFinished(job.status)) {
		return (
			<Action
				kind="danger"
				disabled={job.cancel_requested}
				act={async () => {
					await call(path, { method: "DELETE" });
					announce("Cancelling the job. What it has written is kept.");
					changed();
				}}
			>
				{job.cancel_requested ? "Cancelling…" : "Cancel"}
			</Action>
		);
	}
	return (
		<span class="actions">
			{!job.imported && (
				<>
					<Action
						act={async () => {
							const again = await call<Job>(`${path}/retry`, { method: "POST" });
							announce("Submitted again.");
							go("jobs", again.job_id);
						}}
					>
						Run again
					</Action>
					<a class="button" href={linkTo("submit", job.job_id)}>
						Edit and run…
					</a>
				</>
			)}
			<button type="button" class="quiet" onClick={() => setAsking(true)}>
				Delete…
			</button>
			{asking && (
				<Dialog title="Delete this job?" close={() => setAsking(false)}>
					<p>{job.imported ? `This permanently deletes the record of ${job.scenario_id}. Its result files stay where they are.` : `This permanently deletes ${job.scenario_id} and all its result files.`}</p>
					<div class="buttons">
						<button type="button" onClick={() => setAsking(false)}>
							Keep it
						</button>
						<Action
							kind="danger"
							act={async () => {
								await call(`${path}?purge=true`, { method: "DELETE" });
								announce("Job deleted.");
								go("jobs");
							}}
						>
							Delete
						</Action>
					</div>
				</Dialog>
			)}
		</span>
	);
}

/** A program with its arguments; those with blanks are in quotes. */
const commandLine = (program: string, args: string[] | null | undefined): string => [program, ...(args ?? [])].map((a) => (/^\S+$/.test(a) ? a : JSON.stringify(a))).join(" ");

function Facts({ job }: { job: Job }) {
	const finished = isFinished(job.status);
	return (
		<Card>
			<div class="state">
				<StatePill state={job.status} reason={job.reason} />
				{!finished && <Progress share={job.progress} label="Progress" />}
				{!finished && job.status === "QUEUED" && <span class="muted">Waiting for {plural(job.cpu_request, "core")} and {job.memory_gi} GiB to be free within your limits.</span>}
			</div>
			{job.error && (
				<div class={job.status === "FAILED" ? "notice bad" : "notice warn"}>
					<strong>{job.reason || "Ended"}.</strong> <span class="multiline">{job.error}</span>
				</div>
			)}
			{!job.error && job.message && <p class="muted">{job.message}</p>}
			{job.warnings.length > 0 && (
				<div class="notice warn">
					<strong>{plural(job.warnings.length, "warning")}</strong>
					<Faults
						faults={job.warnings.map((message) => ({ message }))}
						link={(message) => {
							const lead = viewsOf(job).includes("map") ? leadOf(message) : undefined;
							return lead && linkToLead(job.job_id, lead);
						}}
					/>
				</div>
			)}
			<dl class="facts">
				<Fact name="Submitted">
					<Time at={job.submitted_at} />
				</Fact>
				<Fact name="Started">
					<Time at={job.started_at} />
				</Fact>
				<Fact name={finished ? "Finished" : "Running for"}>{finished ? <Time at={job.finished_at} /> : <Elapsed from={job.started_at} to={null} />}</Fact>
				{finished && (
					<Fact name="Duration">
						<Elapsed from={job.started_at} to={job.finished_at} />
					</Fact>
				)}
				{job.options.check && <Fact name="Kind">A check: nothing is simulated</Fact>}
				{job.options.controller && (
					<Fact name="Controller">
						<code>{commandLine(job.options.controller.file, job.options.controller.args)}</code> by {job.options.controller.interface === "libsumo" ? "libsumo" : "TraCI"}
					</Fact>
				)}
				{job.options.tool && (
					<Fact name="Tool">
						<code>{commandLine(job.options.tool.name, job.options.tool.args)}</code>
						{job.options.tool.keep_as && !job.kept_scenario && <>, to be kept as {job.options.tool.keep_as}</>}
					</Fact>
				)}
				{job.imported && <Fact name="Kind">Run by the predecessor of this service</Fact>}
				<Fact name="Configuration">{job.config_file || "–"}</Fact>
				{!job.imported && (
					<>
						<Fact name="SUMO">{job.sumo_version || job.options.sumo_version || "–"}</Fact>
						<Fact name="Seed">{job.seed ?? "SUMO's default"}</Fact>
					</>
				)}
				{job.cached_from && (
					<Fact name="From the cache">
						job <a href={linkTo("jobs", job.cached_from)}>…{job.cached_from.slice(-8)}</a> has run the same
					</Fact>
				)}
				{job.kept_scenario && (
					<Fact name="Kept as">
						<a href={linkTo("scenarios", job.kept_scenario)}>{job.options.tool?.keep_as || job.kept_scenario.slice(0, 12)}</a>
					</Fact>
				)}
				{options(job).map(([name, value]) => (
					<Fact key={name} name={name}>
						{value}
					</Fact>
				))}
			</dl>
			<details class="further">
				<summary>More details</summary>
				<dl class="facts">
				<Fact name="Resources">
					{plural(job.cpu_request, "core")}, {job.memory_gi} GiB
				</Fact>
				<Fact name="Priority">{job.priority}</Fact>
				{!job.imported && <Fact name="Time limit">{duration(job.timeout_seconds)}</Fact>}
				{job.attempt > 1 && <Fact name="Attempts">{job.attempt}</Fact>}
				<Fact name="Job" full>
					<code class="wrap">{job.job_id}</code> <Copy text={job.job_id} what="the job's id" />
				</Fact>
				{!job.imported && (
					<Fact name="Scenario">
						<code title={job.scenario}>{job.scenario.slice(0, 12)}…</code>
					</Fact>
				)}
				</dl>
			</details>
		</Card>
	);
}

function Fact({ name, children, full }: { name: string; children: ComponentChildren; full?: boolean }) {
	return (
		<div class={full ? "full" : undefined}>
			<dt>{name}</dt>
			<dd>{children}</dd>
		</div>
	);
}

/** The chosen interval of simulated time, in words. */
function interval({ begin, end }: Job["options"]): string {
	if (begin === undefined && end === undefined) return "from scenario";
	if (begin === undefined) return `until ${end} s`;
	if (end === undefined) return `from ${begin} s`;
	return `${begin} s to ${end} s`;
}

/** The options that override the scenario's own. */
function options(job: Job): [string, string][] {
	const chosen: [string, string][] = [];
	const o = job.options;
	if (o.begin !== undefined || o.end !== undefined) chosen.push(["Interval", interval(o)]);
	if (o.step_length !== undefined) chosen.push(["Step length", `${o.step_length} s`]);
	if (o.scale !== undefined) chosen.push(["Demand scale", `× ${o.scale}`]);
	if (o.unfinished_trips) chosen.push(["Unfinished trips", "counted"]);
	if (o.strict) chosen.push(["Strict", "yes"]);
	if (o.outputs?.length) chosen.push(["Additional outputs", o.outputs.join(", ")]);
	if (Object.keys(job.labels).length > 0) chosen.push(["Labels", labelText(job.labels)]);
	return chosen;
}

function Events({ job }: { job: Job }) {
	const events = useLoad(
		`${job.job_id} ${job.status}`,
		(signal) => get<"/jobs/{id}/events">(`/jobs/${job.job_id}/events`, signal),
	);
	if (events.problem) return <ProblemNotice problem={events.problem} retry={events.reload} />;
	if (!events.data) return <Loading what="events" />;
	return (
		<Card title="History">
			<table class="list stack">
				<thead>
					<tr>
						<th>At</th>
						<th>Status</th>
						<th class="right">After</th>
						<th>Details</th>
					</tr>
				</thead>
				<tbody>
					{events.data.events.map((e, i, all) => (
						<tr key={e.seq}>
							<td>
								<Time at={e.at} />
							</td>
							<td>
								<StatePill state={e.to as Job["status"]} />
							</td>
							<td class={i > 0 ? "right figure" : "right figure idle"} data-label="after">{i > 0 ? duration((Date.parse(e.at) - Date.parse(all[i - 1]!.at)) / 1000) : "–"}</td>
							<td class={e.reason || e.message ? "grow" : "grow idle"}>
								{e.reason && <strong>{e.reason}. </strong>}
								<span class="multiline">{e.message}</span>
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</Card>
	);
}

/** The groups of metrics, most wanted first. */
const groups: { title: string; has: (name: string) => boolean }[] = [
	{ title: "Vehicles and persons", has: (n) => /^(vehicles|persons)_(?!updates)/.test(n) },
	{ title: "Trips", has: (n) => /^(mean|total)_/.test(n) },
	{ title: "Safety", has: (n) => /^(teleports|collisions|emergency)/.test(n) },
	{ title: "Emissions and fuel", has: (n) => /^(emissions_|fuel|electricity)/.test(n) },
	{ title: "Run", has: () => true },
];

function Summary({ job }: { job: Job }) {
	const summary = useLoad(job.job_id, (signal) => get<"/jobs/{id}/summary">(`/jobs/${job.job_id}/summary`, signal));
	if (summary.problem) return <ProblemNotice problem={summary.problem} retry={summary.problem.status === 404 ? undefined : summary.reload} />;
	if (!summary.data) return <Loading what="the summary" />;
	const left = [...summary.data.metrics];
	const sorted = groups.map((g) => {
		const mine = left.filter((m) => g.has(m.name));
		mine.forEach((m) => left.splice(left.indexOf(m), 1));
		return { title: g.title, metrics: mine };
	});
	return (
		<>
			{summary.data.partial && <div class="notice warn">The run stopped early, so these numbers cover only part of it.</div>}
			{summary.data.warnings > 0 && (
				<div class="notice warn">
					SUMO printed {plural(summary.data.warnings, "warning")}. <a href={linkTo("jobs", job.job_id, "log")}>They are in the log.</a>
				</div>
			)}
			<div class="columns">
				{sorted
					.filter((g) => g.metrics.length > 0)
					.map((g) => (
						<Card key={g.title} title={g.title}>
							<table class="metrics">
								<tbody>
									{g.metrics.map((m) => (
										<tr key={m.name}>
											<th scope="row">{metricName(m.name)}</th>
											<td>{quantity(m.value, m.unit)}</td>
										</tr>
									))}
								</tbody>
							</table>
						</Card>
					))}
			</div>
		</>
	);
}

function Files({ job }: { job: Job }) {
	return (
		<>
			<Results job={job} />
			<Tables job={job} />
		</>
	);
}

function Results({ job }: { job: Job }) {
	const results = useLoad(job.job_id, (signal) => get<"/jobs/{id}/results">(`/jobs/${job.job_id}/results`, signal));
	if (results.problem) return <ProblemNotice problem={results.problem} retry={results.reload} />;
	if (!results.data) return <Loading what="result files" />;
	const { files, message } = results.data;
	const total = files.reduce((sum, f) => sum + f.size, 0);
	return (
		<Card
			title="Result files"
			beside={
				files.length > 0 && (
					<Action act={() => download(`/jobs/${job.job_id}/results.zip`, `${job.scenario_id}-${job.job_id}.zip`)}>
						Download all as zip ({bytes(total)})
					</Action>
				)
			}
		>
			{message && <div class="notice warn">{message}</div>}
			{files.length === 0 && <div class="empty">No files.</div>}
			{files.length > 0 && (
				<table class="list stack">
					<thead>
						<tr>
							<th>File</th>
							<th>Content</th>
							<th class="right">Size</th>
						</tr>
					</thead>
					<tbody>
						{files.map((f) => (
							<tr key={f.name}>
								<td class="name">
									<a href={f.url} download title={f.sha256 && `SHA-256 ${f.sha256}`}>
										{f.name}
									</a>
								</td>
								<td class="muted grow">{whatIs(f)}</td>
								<td class="right figure">{bytes(f.size)}</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
			{files[0] && (
				<p class="small muted">
					Links work without a key until <Time at={files[0].expires_at} />; reload the page for new ones.
				</p>
			)}
		</Card>
	);
}

const tables: Record<string, string> = {
	summary: "One row for each step",
	tripinfo: "One row for each trip",
	personinfo: "One row for each stage of a person's plan",
	edgedata: "One row for each edge and interval",
	fcd: "One row for each vehicle and step",
	emission: "One row for each vehicle and step",
	queue: "One row for each lane and step",
	lanechange: "One row for each lane change",
	stops: "One row for each stop",
	detectors: "One row for each detector and interval",
};

/** The outputs as tables, which are made when they are first asked for. */
function Tables({ job }: { job: Job }) {
	const path = `/jobs/${job.job_id}/tables`;
	const found = useLoad(job.job_id, (signal) => get<"/jobs/{id}/tables">(path, signal));
	if (found.problem) return <ProblemNotice problem={found.problem} retry={found.reload} />;
	if (!found.data) return <Loading what="tables" />;
	if (found.data.tables.length === 0) return null;
	const save = (name: string, format: string) => download(`${path}/${name}?format=${format}`, `${job.scenario_id}-${name}.${format}`);
	return (
		<Card title="Tables">
			<table class="list stack">
				<thead>
					<tr>
						<th>Table</th>
						<th>Content</th>
						<th class="right">Rows</th>
						<th>Download</th>
					</tr>
				</thead>
				<tbody>
					{found.data.tables.map((t) => (
						<tr key={t.name}>
							<td class="name">{t.name}</td>
							<td class="muted grow">{tables[t.name]}</td>
							<td class="right figure">{t.rows === null ? "–" : whole(t.rows)}</td>
							<td>
								<Action kind="quiet" label={`Download ${t.name} as CSV`} act={() => save(t.name, "csv")}>
									CSV
								</Action>{" "}
								<Action kind="quiet" label={`Download ${t.name} as Parquet`} act={() => save(t.name, "parquet")}>
									Parquet
								</Action>
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</Card>
	);
}

/** What the predecessor recorded of the results of a job that it ran. */
function Elsewhere({ job }: { job: Job }) {
	const files = job.result_files?.files ?? [];
	return (
		<Card title="Results">
			<p>
				The predecessor of this service ran this job. {job.result_location ? "Its results are where that stored them; fetch them from there:" : "It recorded no place of its results."}
			</p>
			{job.result_location && (
				<p>
					<code class="wrap">{job.result_location}</code> <Copy text={job.result_location} what="the address of the results" />
				</p>
			)}
			{files.length > 0 && (
				<table class="list stack">
					<thead>
						<tr>
							<th>File</th>
							<th>Address</th>
							<th class="right">Size</th>
						</tr>
					</thead>
					<tbody>
						{files.map((f) => (
							<tr key={f.name}>
								<td class="name">{f.name}</td>
								<td class="grow">{f.url ? <code class="wrap">{f.url}</code> : <span class="muted idle">–</span>}</td>
								<td class="right figure">{bytes(f.size)}</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
		</Card>
	);
}

const kinds: Record<string, string> = {
	"summary.json": "The summary, for programs",
	"outcome.json": "How the run ended",
	"log.txt": "The log",
	"sha256sums.txt": "Checksums of the other files",
	"kept.zip": "What the tool was to keep",
	"convergence.json": "How the tool converged",
	"replay.json": "The recording's index: times, events and where its segments are",
	"replay.segments": "The recording's positions of vehicles",
};

/** What SUMO's outputs hold. */
const outputs: Record<string, string> = {
	summary: "Vehicles and mean speed in each step",
	tripinfo: "One line for each trip",
	statistics: "SUMO's statistics of the run",
	edgedata: "Speed, density and more of each edge",
	fcd: "Positions of all vehicles in each step",
	emission: "Emissions of all vehicles in each step",
	queue: "Queues of each lane",
	lanechange: "All lane changes",
	stop: "All stops",
};

/** Files of earlier releases have no roles; their names are the outputs'. */
function whatIs({ name, roles }: { name: string; roles?: string[] }): string {
	if (roles?.some((role) => role.startsWith("table-"))) return "A table that was made when the run ended";
	const has = roles ?? [name.replace(/\.xml(\.gz)?$/, "")];
	const what = kinds[name] ?? has.flatMap((role) => outputs[role] ?? []).join(". ");
	return what || (name.includes("/") || /\.(xml|csv|parquet|txt)(\.gz)?$/.test(name) ? "Written by the scenario itself" : "");
}

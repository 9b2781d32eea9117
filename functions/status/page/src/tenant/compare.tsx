// Several jobs beside each other: their numbers, with the differences to the first, and their plots overlaid.
import { useState } from "preact/hooks";
import { get, type Job, type Schemas } from "../api";
import { metricName, number, percent, quantity } from "../format";
import { useLoad } from "../load";
import { Card, Empty, Loading, ProblemNotice, Title, Scroll } from "../parts";
import { go, linkTo } from "../route";
import { interval } from "./job";
import { mostCompared } from "./jobs";
import { type Named, PlotsOf } from "./plots";

type Summary = Schemas["Summary"];

export function Compare({ ids }: { ids: string[] }) {
	if (ids.length < 2) return <Choose />;
	return <Compared key={ids.join()} ids={ids.slice(0, mostCompared)} />;
}

function Choose() {
	const jobs = useLoad("succeeded", (signal) => get<"/jobs">("/jobs?status=SUCCEEDED&limit=50", signal));
	const [chosen, setChosen] = useState<string[]>([]);
	return (
		<>
			<Title>Compare jobs</Title>
			<Card title={`Choose two to ${mostCompared} jobs`}>
				{jobs.problem && <ProblemNotice problem={jobs.problem} retry={jobs.reload} />}
				{jobs.loading && <Loading what="jobs" />}
				{jobs.data?.jobs.length === 0 && <Empty>No job has succeeded yet, so there is nothing to compare.</Empty>}
				<ul class="choices">
					{jobs.data?.jobs.map((j) => (
						<li key={j.job_id}>
							<label>
								<input
									type="checkbox"
									checked={chosen.includes(j.job_id)}
									disabled={!chosen.includes(j.job_id) && chosen.length >= mostCompared}
									onChange={(e) => setChosen(e.currentTarget.checked ? [...chosen, j.job_id] : chosen.filter((x) => x !== j.job_id))}
								/>
								<span>{j.scenario_id}</span>
								<span class="muted">{j.seed == null ? "default seed" : `seed ${j.seed}`}</span>
								<span class="id">…{j.job_id.slice(-8)}</span>
							</label>
						</li>
					))}
				</ul>
				<button type="button" class="primary" disabled={chosen.length < 2} onClick={() => go("compare", chosen.join(","))}>
					Compare
				</button>
			</Card>
		</>
	);
}

function Compared({ ids }: { ids: string[] }) {
	const loaded = useLoad(ids.join(), (signal) =>
		Promise.all(
			ids.map(async (id) => {
				const job = await get<"/jobs/{id}">(`/jobs/${encodeURIComponent(id)}`, signal);
				const summary = job.status === "SUCCEEDED" ? await get<"/jobs/{id}/summary">(`/jobs/${job.job_id}/summary`, signal) : undefined;
				return { job, summary };
			}),
		),
	);
	if (!loaded.data) {
		return (
			<>
				<Title>Compare jobs</Title>
				{loaded.problem ? <ProblemNotice problem={loaded.problem} retry={loaded.reload} /> : <Loading what="the jobs" />}
			</>
		);
	}
	const jobs = named(loaded.data.map((l) => l.job));
	const scenarios = new Set(jobs.map((j) => j.job.scenario));
	return (
		<>
			<Title beside={<a href={linkTo("compare")}>Choose others</a>}>Compare {jobs.length} jobs</Title>
			{loaded.data.some((l) => !l.summary) && <div class="notice warn">Some of these jobs have not succeeded; they have no numbers here.</div>}
			<Card title="Numbers" beside={<span class="muted small">Differences are to the first job.{scenarios.size > 1 && " The jobs are of different scenarios."}</span>}>
				<Numbers jobs={jobs} summaries={loaded.data.map((l) => l.summary)} />
			</Card>
			<PlotsOf jobs={jobs} />
		</>
	);
}

/** What may be different about two jobs of one name, in words. */
const differences: ((j: Job) => string)[] = [
	(j) => (j.seed == null ? "default seed" : `seed ${j.seed}`),
	(j) => (j.options.scale == null ? "demand as it is" : `demand × ${j.options.scale}`),
	(j) => `interval: ${interval(j.options)}`,
	(j) => (j.options.step_length == null ? "own steps" : `steps of ${j.options.step_length} s`),
	(j) => j.config_file,
	(j) => `SUMO ${j.sumo_version}`,
];

/** Names that tell the jobs apart: the one given at submission, and what is different about jobs that share it. */
function named(jobs: Job[]): Named[] {
	const names = jobs.map((job) => {
		const alike = jobs.filter((j) => j.scenario_id === job.scenario_id);
		return [job.scenario_id, ...differences.filter((d) => alike.some((j) => d(j) !== d(job))).map((d) => d(job))].join(", ");
	});
	return jobs.map((job, i) => ({ job, name: names.filter((n) => n === names[i]).length > 1 ? `${names[i]} (…${job.job_id.slice(-6)})` : names[i]! }));
}

function Numbers({ jobs, summaries }: { jobs: Named[]; summaries: (Summary | undefined)[] }) {
	const names = [...new Set(summaries.flatMap((s) => s?.metrics.map((m) => m.name) ?? []))];
	return (
		<Scroll label="Numbers of all jobs">
			<table class="list comparison">
				<thead>
					<tr>
						<th>Metric</th>
						{jobs.map((j, i) => (
							<th key={j.job.job_id} class="right">
								<span class={`swatch hue-${i}`} /> <a href={linkTo("jobs", j.job.job_id)}>{j.name}</a>
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{names.map((n) => {
						const metrics = summaries.map((s) => s?.metrics.find((m) => m.name === n));
						const base = metrics[0];
						return (
							<tr key={n}>
								<th scope="row">{metricName(n)}</th>
								{metrics.map((m, i) => (
									<td key={i} class="right figure">
										{m ? quantity(m.value, m.unit, true) : "–"}
										{i > 0 && m && base && <Difference from={base.value} to={m.value} />}
									</td>
								))}
							</tr>
						);
					})}
				</tbody>
			</table>
		</Scroll>
	);
}

function Difference({ from, to }: { from: number; to: number }) {
	if (from === to) return <span class="difference">same</span>;
	const sign = to > from ? "+" : "−";
	return <span class="difference">{from === 0 ? `${sign}${number(Math.abs(to))}` : `${sign}${percent(Math.abs((to - from) / from))}`}</span>;
}

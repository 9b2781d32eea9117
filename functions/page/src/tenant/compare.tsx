// Compares several jobs: their metrics, with differences from the first, and their plots overlaid.
import { useState } from "preact/hooks";
import { get, type Got } from "../api";
import { metricName, number, percent, quantity, words } from "../format";
import { useLoad } from "../load";
import { Card, Empty, Loading, ProblemNotice, Scroll, Time, Title } from "../parts";
import { go, linkTo } from "../route";
import { maxCompared } from "./jobs";
import { type Named, PlotsOf } from "./plots";

type Comparison = Got<"/jobs/compare">;

export function Compare({ ids }: { ids: string[] }) {
	if (ids.length < 2) return <Choose />;
	return <Compared key={ids.join()} ids={ids.slice(0, maxCompared)} />;
}

function Choose() {
	const jobs = useLoad("succeeded", (signal) => get<"/jobs">("/jobs?status=SUCCEEDED&limit=50", signal));
	const [chosen, setChosen] = useState<string[]>([]);
	const comparable = jobs.data?.jobs.filter((j) => !j.imported);
	return (
		<>
			<Title>Compare jobs</Title>
			<Card title={`Choose 2 to ${maxCompared} jobs`}>
				{jobs.problem && <ProblemNotice problem={jobs.problem} retry={jobs.reload} />}
				{jobs.loading && <Loading what="jobs" />}
				{comparable?.length === 0 && <Empty>No jobs have succeeded yet, so there is nothing to compare.</Empty>}
				<ul class="choices">
					{comparable?.map((j) => (
						<li key={j.job_id}>
							<label>
								<input
									type="checkbox"
									checked={chosen.includes(j.job_id)}
									disabled={!chosen.includes(j.job_id) && chosen.length >= maxCompared}
									onChange={(e) => setChosen(e.currentTarget.checked ? [...chosen, j.job_id] : chosen.filter((x) => x !== j.job_id))}
								/>
								<span>{j.scenario_id}</span>
								<span class="muted">
									{j.seed == null ? "default seed" : `seed ${j.seed}`}
									{j.options.scale != null && `, demand × ${j.options.scale}`}, <Time at={j.submitted_at} />
								</span>
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
	const loaded = useLoad(ids.join(), (signal) => get<"/jobs/compare">(`/jobs/compare?ids=${ids.map(encodeURIComponent).join(",")}`, signal));
	if (!loaded.data) {
		return (
			<>
				<Title beside={<a href={linkTo("compare")}>Choose others</a>}>Compare jobs</Title>
				{loaded.problem ? <ProblemNotice problem={loaded.problem} retry={loaded.reload} /> : <Loading what="the jobs" />}
			</>
		);
	}
	const jobs = named(loaded.data);
	return (
		<>
			<Title beside={<a href={linkTo("compare")}>Choose others</a>}>Compare {jobs.length} jobs</Title>
			{loaded.data.jobs.map(
				(j, i) =>
					j.message && (
						<div class="notice warn" key={j.job_id}>
							<strong>{jobs[i]!.name}:</strong> {j.message}
						</div>
					),
			)}
			{loaded.data.notes.map((note) => (
				<div class="notice warn" key={note}>
					{note}
				</div>
			))}
			<Card title="Metrics" beside={<span class="muted small">Differences are from the first job.</span>}>
				<Metrics jobs={jobs} comparison={loaded.data} />
			</Card>
			<PlotsOf jobs={jobs} />
		</>
	);
}

const shortest = 12; // characters of a checksum, enough to identify it

function choice(setting: Comparison["settings"][number], i: number): string {
	const value = setting.values[i]?.value ?? "from scenario";
	return setting.name === "scenario" ? `${value.slice(0, shortest)}…` : value.replaceAll(",", ", ");
}

function phrase(setting: Comparison["settings"][number], i: number): string {
	if (setting.name !== "scale") return `${words(setting.name).toLowerCase()} ${choice(setting, i)}`;
	const scale = setting.values[i]?.value;
	return scale == null ? "demand unchanged" : `demand × ${scale}`;
}

/** Distinct names: the one given at submission, and the settings in which jobs that share it differ. */
function named({ jobs, settings }: Comparison): Named[] {
	const names = jobs.map((job, i) => {
		const alike = jobs.map((_, k) => k).filter((k) => jobs[k]!.scenario_id === job.scenario_id);
		// Outputs do not change the simulation.
		const different = settings.filter((s) => s.name !== "outputs" && alike.some((k) => s.values[k]?.value !== s.values[i]?.value));
		return [job.scenario_id, ...different.map((s) => phrase(s, i))].join(", ");
	});
	return jobs.map((job, i) => ({ id: job.job_id, name: names.filter((n) => n === names[i]).length > 1 ? `${names[i]} (…${job.job_id.slice(-6)})` : names[i]! }));
}

function Metrics({ jobs, comparison }: { jobs: Named[]; comparison: Comparison }) {
	return (
		<Scroll label="Metrics of all jobs">
			<table class="list comparison">
				<thead>
					<tr>
						<th>Metric</th>
						{jobs.map((j, i) => (
							<th key={j.id} class="right">
								<span class={`swatch hue-${i}`} /> <a href={linkTo("jobs", j.id)}>{j.name}</a>
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{comparison.settings.map((s) => (
						<tr key={s.name} class="setting">
							<th scope="row">{words(s.name)}</th>
							{jobs.map((j, i) => (
								<td key={j.id} class="right">
									{choice(s, i)}
									{i > 0 && <span class="difference" />}
								</td>
							))}
						</tr>
					))}
					{comparison.metrics.map((m) => (
						<tr key={m.name}>
							<th scope="row">{metricName(m.name)}</th>
							{m.values.map((v, i) => (
								<td key={v.job_id} class="right figure">
									{v.value == null ? "–" : quantity(v.value, m.unit, true)}
									{i > 0 && <span class="difference">{v.difference != null && difference(v.difference, v.relative_difference)}</span>}
								</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</Scroll>
	);
}

function difference(absolute: number, relative: number | null): string {
	if (absolute === 0) return "same";
	const sign = absolute > 0 ? "+" : "−";
	return `${sign}${relative == null ? number(Math.abs(absolute)) : percent(Math.abs(relative))}`;
}

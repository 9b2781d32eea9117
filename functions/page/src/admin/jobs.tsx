// The newest jobs of all tenants.
import { useState } from "preact/hooks";
import { get, type State } from "../api";
import { plural, whole } from "../format";
import { useLoad } from "../load";
import { Card, Elapsed, Empty, Loading, ProblemNotice, StatePill, stateWord, Time, Title } from "../parts";
import { Course } from "../tenant/jobs";

const states: State[] = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"];
const interval = 3000;

export function AllJobs() {
	const [status, setStatus] = useState("");
	const jobs = useLoad(`jobs ${status}`, (signal) => get<"/admin/jobs">(`/admin/jobs?limit=100${status && `&status=${status}`}`, signal), () => interval);
	return (
		<>
			<Title>Jobs of all tenants</Title>
			<Card
				title={jobs.data ? `${whole(jobs.data.jobs.length)} of ${whole(jobs.data.total)}, newest first` : "Jobs"}
				beside={
					<div class="filters">
						<label>
							<span>Status</span>
							<select value={status} onChange={(e) => setStatus(e.currentTarget.value)}>
								<option value="">Any</option>
								{states.map((s) => (
									<option key={s} value={s}>
										{stateWord(s)}
									</option>
								))}
							</select>
						</label>
					</div>
				}
			>
				{jobs.problem && <ProblemNotice problem={jobs.problem} retry={jobs.reload} />}
				{jobs.loading && <Loading what="jobs" />}
				{jobs.data?.jobs.length === 0 && <Empty>No jobs have this status.</Empty>}
				{jobs.data && jobs.data.jobs.length > 0 && (
					<table class="list stack jobs">
						<thead>
							<tr>
								<th>Tenant</th>
								<th>Name</th>
								<th>Status</th>
								<th>Progress</th>
								<th>Submitted</th>
								<th class="right">Duration</th>
								<th class="right">Resources</th>
							</tr>
						</thead>
						<tbody>
							{jobs.data.jobs.map((j) => (
								<tr key={j.job_id}>
									<td class="tenant">{j.tenant_id}</td>
									<td class="name">
										{j.scenario_id}
										<span class="id" title={j.job_id}>
											…{j.job_id.slice(-8)}
										</span>
									</td>
									<td>
										<StatePill state={j.status} reason={j.reason} />
										{j.reason && j.reason !== "Cancelled" && <span class="reason">{j.reason}</span>}
									</td>
									<td class="grow">
										<Course job={j} />
									</td>
									<td>
										<Time at={j.submitted_at} />
									</td>
									<td class="right figure" data-label="duration">
										<Elapsed from={j.started_at} to={j.finished_at} />
									</td>
									<td class="right figure">
										{plural(j.cpu_request, "core")}, {j.memory_gi} GiB
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</Card>
		</>
	);
}

// The tenant's studies, newest first.
import { useState } from "preact/hooks";
import type { Got } from "../api";
import { plural, whole } from "../format";
import { usePages } from "../load";
import { Action, Card, Elapsed, Empty, Loading, ProblemNotice, Progress, Time, Title } from "../parts";
import { linkTo } from "../route";
import { isOpen, type StudyState } from "./live";

type Summary = Got<"/studies">["studies"][number];

const words: Record<StudyState, string> = { RUNNING: "Running", SUCCEEDED: "Succeeded", INCOMPLETE: "Incomplete", FAILED: "Failed", CANCELLED: "Cancelled" };
const tones: Record<StudyState, string> = { RUNNING: "running", SUCCEEDED: "succeeded", INCOMPLETE: "cancelled", FAILED: "failed", CANCELLED: "cancelled" };

export function StudyPill({ state }: { state: StudyState | undefined }) {
	if (!state) return null;
	return (
		<span class={`pill ${tones[state]}`} title={state}>
			{words[state]}
		</span>
	);
}

const busyInterval = 2000;
const idleInterval = 15_000;

export function Studies() {
	const [status, setStatus] = useState("");
	const list = usePages("/studies", { status }, (page: Got<"/studies">) => page.studies, (studies) => (studies?.some((s) => isOpen(s.status)) ? busyInterval : idleInterval));
	const studies = list.data?.items ?? [];
	return (
		<>
			<Title
				beside={
					<a class="button primary" href={linkTo("studies", "new")}>
						New study
					</a>
				}
			>
				Studies
			</Title>
			<Card
				title="All studies"
				beside={
					<div class="filters">
						<label>
							<span>Status</span>
							<select value={status} onChange={(e) => setStatus(e.currentTarget.value)}>
								<option value="">Any</option>
								{Object.entries(words).map(([state, word]) => (
									<option key={state} value={state}>
										{word}
									</option>
								))}
							</select>
						</label>
					</div>
				}
			>
				{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
				{list.loading && <Loading what="studies" />}
				{list.data && studies.length === 0 && (
					<Empty>
						{status ? (
							<p>No studies match the filter.</p>
						) : (
							<>
								<p>There are no studies yet. A study runs scenarios with many seeds, and compares what they come to.</p>
								<a class="button primary" href={linkTo("studies", "new")}>
									New study
								</a>
							</>
						)}
					</Empty>
				)}
				{studies.length > 0 && (
					<table class="list stack studies">
						<thead>
							<tr>
								<th>Name</th>
								<th>Status</th>
								<th>Progress</th>
								<th class="right">Runs</th>
								<th>Created</th>
								<th class="right">Duration</th>
							</tr>
						</thead>
						<tbody>
							{studies.map((s) => (
								<Row key={s.study_id} study={s} />
							))}
						</tbody>
					</table>
				)}
				{list.data?.more && (
					<div class="more">
						<Action act={list.showMore}>Show older studies</Action>
					</div>
				)}
			</Card>
		</>
	);
}

function Row({ study: s }: { study: Summary }) {
	const { done, planned, failed, cancelled, cached } = s.runs;
	return (
		<tr>
			<td class="name">
				<a href={linkTo("studies", s.study_id!)}>{s.name}</a>
				<span class="id" title={s.study_id}>
					…{s.study_id!.slice(-8)}
				</span>
			</td>
			<td>
				<StudyPill state={s.status} />
				{failed + cancelled > 0 && <span class="reason">{plural(failed + cancelled, "run")} missing</span>}
			</td>
			<td class="grow">
				{isOpen(s.status) ? <Progress share={planned > 0 ? done / planned : 0} label={`Progress of ${s.name}`} /> : s.message ? <span class="clip" title={s.message}>{s.message}</span> : <span class="muted idle">–</span>}
			</td>
			<td class="right figure" data-label="runs">
				{whole(done)} of {whole(planned)}
				{cached > 0 && <span class="reason">{whole(cached)} from the cache</span>}
			</td>
			<td data-label="created">
				<Time at={s.created_at} />
			</td>
			<td class="right figure" data-label="duration">
				<Elapsed from={s.started_at} to={s.finished_at} />
			</td>
		</tr>
	);
}

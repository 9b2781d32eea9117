// The tenant's studies, newest first.
import { useState } from "preact/hooks";
import { get, type Got } from "../api";
import { plural, whole } from "../format";
import { useLoad } from "../load";
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

const pageSize = 50;
const busyInterval = 2000;
const idleInterval = 15_000;

export function Studies() {
	const [status, setStatus] = useState("");
	const [older, setOlder] = useState<{ of: string; studies: Summary[]; cursor: string }>();
	const query = (cursor: string) => `/studies?${new URLSearchParams({ limit: String(pageSize), ...(status && { status }), ...(cursor && { cursor }) })}` as "/studies";
	const first = useLoad(query(""), (signal) => get<"/studies">(query(""), signal), (page) => (page?.studies.some((s) => isOpen(s.status)) ? busyInterval : idleInterval));
	const beyond = older?.of === status ? older : undefined;
	const known = new Set(first.data?.studies.map((s) => s.study_id));
	const studies = [...(first.data?.studies ?? []), ...(beyond?.studies ?? []).filter((s) => !known.has(s.study_id))];
	const cursor = beyond ? beyond.cursor : (first.data?.next_cursor ?? "");
	const more = async () => {
		const page = await get<"/studies">(query(cursor));
		setOlder({ of: status, studies: [...(beyond?.studies ?? []), ...page.studies], cursor: page.next_cursor });
	};
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
				{first.problem && <ProblemNotice problem={first.problem} retry={first.reload} />}
				{first.loading && <Loading what="studies" />}
				{first.data && studies.length === 0 && (
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
				{cursor && (
					<div class="more">
						<Action act={more}>Show older studies</Action>
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

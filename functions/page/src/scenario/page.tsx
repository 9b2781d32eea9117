// One stored scenario: what is in it, how it was derived, what ran it, and a new one with changed files.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, get, type Got, Problem, type Schemas, upload } from "../api";
import { DropZone } from "../dropzone";
import { bytes, clock, percent, plural } from "../format";
import { asProblem, useIntention, useLoad } from "../load";
import { Action, announce, Card, Copy, Dialog, Empty, Faults, Field, Loading, ProblemNotice, StatePill, Time, Title } from "../parts";
import { go, linkTo } from "../route";
import { type Dropped, pathFor, zipOf } from "./files";
import { countsOf } from "./list";

type Scenario = Got<"/scenarios/{id}">;
type Config = Scenario["configs"][number];

const mostJobs = 200;

export function ScenarioPage({ id }: { id: string }) {
	const path = `/scenarios/${encodeURIComponent(id)}`;
	const scenario = useLoad(id, (signal) => get<"/scenarios/{id}">(path as "/scenarios/{id}", signal));
	const [asking, setAsking] = useState(false);
	const s = scenario.data;
	if (!s) {
		return (
			<>
				<Title>Scenario</Title>
				{scenario.problem ? <ProblemNotice problem={scenario.problem} retry={scenario.reload} /> : <Loading what="the scenario" />}
			</>
		);
	}
	return (
		<>
			<Title
				beside={
					<span class="actions">
						<a class="button primary" href={linkTo("submit", "scenario", id)}>
							Submit a job
						</a>
						<a class="button" href={linkTo("studies", "new", id)}>
							Start a study
						</a>
						<button type="button" class="quiet" onClick={() => setAsking(true)}>
							Delete…
						</button>
					</span>
				}
			>
				{s.name || "Unnamed scenario"}
			</Title>
			{asking && (
				<Dialog title="Delete this scenario?" close={() => setAsking(false)}>
					<p>Its finished jobs keep their results, but cannot be run again. Scenarios derived from it stay as they are.</p>
					<div class="buttons">
						<button type="button" onClick={() => setAsking(false)}>
							Keep it
						</button>
						<Action
							kind="danger"
							act={async () => {
								await call(path, { method: "DELETE" });
								announce("Scenario deleted.");
								go("scenarios");
							}}
						>
							Delete
						</Action>
					</div>
				</Dialog>
			)}
			<Card>
				<dl class="facts">
					<div>
						<dt>Stored</dt>
						<dd>
							<Time at={s.created_at} />
						</dd>
					</div>
					<div>
						<dt>Size</dt>
						<dd>
							{bytes(s.size)}, unpacked {bytes(s.unpacked_size)}
						</dd>
					</div>
					<div>
						<dt>Files</dt>
						<dd>{s.files.length}</dd>
					</div>
					<div>
						<dt>Scenario</dt>
						<dd>
							<code title={s.id}>{s.id.slice(0, 12)}…</code> <Copy text={s.id} what="the scenario's id" />
						</dd>
					</div>
				</dl>
				{s.warnings.length > 0 && <Remarks of={s.warnings} />}
			</Card>
			{s.derived && <DerivedFrom of={s.derived} />}
			{s.configs.map((c) => (
				<Configuration key={c.path} of={c} />
			))}
			<div class="columns">
				<Derive scenario={s} />
				<Jobs id={id} />
			</div>
			<Files of={s} />
		</>
	);
}

function Remarks({ of }: { of: string[] }) {
	return (
		<div class="notice warn">
			<strong>{plural(of.length, "warning")}</strong>
			<Faults faults={of.map((message) => ({ message }))} />
		</div>
	);
}

function DerivedFrom({ of: d }: { of: Schemas["Derived"] }) {
	const kinds = [["Changed", d.changed], ["Added", d.added], ["Left out", d.deleted]] as const;
	return (
		<Card title="Derived" beside={<span class="muted small">{bytes(d.added_size)} stored besides its base</span>}>
			<p>
				In one step or several, from <a href={linkTo("scenarios", d.base)}>{d.base.slice(0, 12)}…</a> as it was uploaded, which may have been deleted
				since. The files that differ from that one:
			</p>
			<ul class="plain">
				{kinds.map(([kind, files]) =>
					files.length > 0 ? (
						<li key={kind}>
							{kind}: {files.map((f, i) => [i > 0 && ", ", <code class="wrap">{f}</code>])}
						</li>
					) : null,
				)}
			</ul>
		</Card>
	);
}

function Configuration({ of: c }: { of: Config }) {
	const interval = c.begin == null && c.end == null ? "not limited" : `${clock(c.begin ?? 0)} to ${c.end == null ? "the last vehicle" : clock(c.end)}`;
	const facts: [string, string][] = [
		["Contains", countsOf(c).join(", ") || "not counted"],
		["Simulated", interval],
		["Needs", c.least_sumo_version ? `SUMO ${c.least_sumo_version} or newer` : "any version of SUMO on offer"],
		["Seed", c.random ? "another for each run" : c.seed == null ? "SUMO's default" : String(c.seed)],
		["Writes", c.outputs.join(", ") || "only what a job asks for"],
	];
	return (
		<Card title={<code class="wrap">{c.path}</code>}>
			{c.problems.length > 0 && (
				<div class="notice bad">
					<strong>No job can choose this configuration.</strong>
					<Faults faults={c.problems} />
				</div>
			)}
			{c.warnings.length > 0 && <Remarks of={c.warnings} />}
			<dl class="facts">
				{facts.map(([name, value]) => (
					<div key={name}>
						<dt>{name}</dt>
						<dd>{value}</dd>
					</div>
				))}
			</dl>
		</Card>
	);
}

function Jobs({ id }: { id: string }) {
	const jobs = useLoad(id, (signal) => get<"/jobs">(`/jobs?limit=${mostJobs}` as "/jobs", signal));
	const mine = jobs.data?.jobs.filter((j) => j.scenario === id) ?? [];
	const shown = 12;
	return (
		<Card title="Its jobs" beside={jobs.data?.next_cursor && <span class="muted small">Among your newest {mostJobs} jobs.</span>}>
			{jobs.problem && <ProblemNotice problem={jobs.problem} retry={jobs.reload} />}
			{jobs.loading && <Loading what="jobs" />}
			{jobs.data && mine.length === 0 && <Empty>No job has run this scenario by itself. Studies list their own runs.</Empty>}
			{mine.length > 0 && (
				<table class="list narrow">
					<tbody>
						{mine.slice(0, shown).map((j) => (
							<tr key={j.job_id}>
								<td class="name">
									<a href={linkTo("jobs", j.job_id)}>{j.scenario_id}</a>
								</td>
								<td>
									<StatePill state={j.status} reason={j.reason} />
								</td>
								<td class="right">
									<Time at={j.submitted_at} />
								</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
			{mine.length > shown && <p class="small muted">and {plural(mine.length - shown, "more job")}</p>}
		</Card>
	);
}

function Files({ of: s }: { of: Scenario }) {
	const shown = 200;
	return (
		<Card title="Files">
			<table class="list narrow">
				<tbody>
					{s.files.slice(0, shown).map((f) => (
						<tr key={f.path}>
							<td>
								<code class="wrap">{f.path}</code>
							</td>
							<td class="right figure">{bytes(f.size)}</td>
						</tr>
					))}
				</tbody>
			</table>
			{s.files.length > shown && <p class="small muted">and {plural(s.files.length - shown, "more file")}</p>}
		</Card>
	);
}

/** A new scenario: this one with files that are dropped here. */
function Derive({ scenario }: { scenario: Scenario }) {
	const known = scenario.files.map((f) => f.path);
	const [dropped, setDropped] = useState<Dropped[]>([]);
	const [removed, setRemoved] = useState<string[]>([]);
	const [name, setName] = useState(scenario.name ? `${scenario.name}, changed`.slice(0, 200) : "");
	const [problem, setProblem] = useState<Problem>();
	const [sent, setSent] = useState<number>(); // the share of the upload
	const keyOf = useIntention();
	const leave = useRef<AbortController | undefined>(undefined);
	useEffect(() => () => leave.current?.abort(), []);

	const take = (files: FileList) => {
		const more = [...files].map((file) => ({ file, path: pathFor(file.webkitRelativePath || file.name, known, scenario.configs[0]?.path) }));
		setProblem(undefined);
		setDropped((before) => [...before.filter((d) => !more.some((m) => m.path === d.path)), ...more]);
	};
	const submit = async (event: Event) => {
		event.preventDefault();
		setProblem(undefined);
		setSent(0);
		const stop = (leave.current = new AbortController());
		try {
			const form = new FormData();
			form.set("sumo_files", await zipOf(dropped), "changes.zip");
			const query = new URLSearchParams([...(name.trim() ? [["name", name.trim()]] : []), ...removed.map((f) => ["delete", f])]);
			const key = keyOf(JSON.stringify([`${query}`, dropped.map((d) => [d.path, d.file.name, d.file.size, d.file.lastModified])]));
			const made = await upload<Schemas["StoredScenario"]>(`/scenarios/${encodeURIComponent(scenario.id)}/derive?${query}`, form, { "Idempotency-Key": key }, setSent, stop.signal);
			announce(made.created ? "Derived a scenario." : "The same changes are stored already.");
			go("scenarios", made.id);
		} catch (error) {
			if (stop.signal.aborted) return;
			setProblem(asProblem(error));
			setSent(undefined);
		}
	};
	return (
		<Card title="Derive another">
			<form onSubmit={(e) => void submit(e)}>
				<DropZone id="changed-files" multiple hint="changed-hint" label={<strong>Drop changed files here, or choose them</strong>} take={take}>
					<span class="hint" id="changed-hint">
						A file takes the place of the one of its name; others are added. The new scenario shares the rest with this one, and is checked as a whole.
					</span>
				</DropZone>
				{dropped.length > 0 && (
					<ul class="plain changes">
						{dropped.map((d, i) => (
							<li key={i}>
								<input
									aria-label={`Path of ${d.file.name} in the scenario`}
									spellcheck={false}
									value={d.path}
									onInput={(e) => {
										const path = e.currentTarget.value;
										setDropped(dropped.map((x, k) => (k === i ? { ...x, path } : x)));
									}}
								/>
								<span class="muted small">
									{known.includes(d.path) ? "replaces" : "adds"}, {bytes(d.file.size)}
								</span>
								<button type="button" class="quiet" aria-label={`Take back ${d.file.name}`} onClick={() => setDropped(dropped.filter((_, k) => k !== i))}>
									Remove
								</button>
							</li>
						))}
					</ul>
				)}
				<Field label="Leave out" hint={removed.length > 0 ? undefined : "A file that the new scenario does not have."}>
					{(props) => (
						<select {...props} value="" onChange={(e) => e.currentTarget.value && setRemoved([...removed, e.currentTarget.value])}>
							<option value="">Choose a file</option>
							{known.filter((f) => !removed.includes(f)).map((f) => (
								<option key={f}>{f}</option>
							))}
						</select>
					)}
				</Field>
				{removed.length > 0 && (
					<ul class="plain changes">
						{removed.map((f) => (
							<li key={f}>
								<code class="wrap">{f}</code>
								<button type="button" class="quiet" aria-label={`Keep ${f}`} onClick={() => setRemoved(removed.filter((x) => x !== f))}>
									Keep
								</button>
							</li>
						))}
					</ul>
				)}
				<Field label="Name">{(props) => <input {...props} autocomplete="off" maxLength={200} value={name} onInput={(e) => setName(e.currentTarget.value)} />}</Field>
				{problem && <ProblemNotice problem={problem} />}
				<div class="send">
					<button type="submit" class="primary" disabled={sent !== undefined || dropped.length + removed.length === 0}>
						Derive
					</button>
					{sent !== undefined && <span role="status">{sent < 1 ? `Uploading, ${percent(sent)}` : "Checking the scenario…"}</span>}
				</div>
			</form>
		</Card>
	);
}

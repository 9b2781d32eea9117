// The form of a new study. While one types, the service says what the study would be, and what it would take.
import { useEffect, useState } from "preact/hooks";
import { call, type Fault, get, type Got, Problem, type Schemas } from "../api";
import { ArgumentsField, type ControllerDraft, InterfaceField, ProgramField, useControllers } from "../controller";
import { duration, metricName, plural, whole } from "../format";
import { asProblem, useIntention, useLoad } from "../load";
import { Card, Empty, Field, Loading, ProblemNotice, Title } from "../parts";
import { go, linkTo } from "../route";
import { axisFields, type AxisDraft, type AxisKind, blank, blankAxis, type Draft, faultAt, isAt, missing, requestOf, valuesOfAxis } from "./plan";

type Planned = Schemas["Study"];
type Scenarios = Got<"/scenarios">["scenarios"];

/** Metrics that most studies are about, in the order of a summary. */
const metrics = [
	"mean_travel_time", "mean_time_loss", "mean_waiting_time", "mean_depart_delay", "mean_speed", "vehicles_finished", "teleports", "collisions", "total_travel_time",
	"emissions_co2", "fuel",
];

export function NewStudy({ scenario }: { scenario?: string }) {
	const stored = useLoad("scenarios", (signal) => get<"/scenarios">("/scenarios?limit=200" as "/scenarios", signal));
	return (
		<>
			<Title>New study</Title>
			{stored.problem && <ProblemNotice problem={stored.problem} retry={stored.reload} />}
			{stored.loading && <Loading what="scenarios" />}
			{stored.data?.scenarios.length === 0 && (
				<Empty>
					<p>A study runs stored scenarios, and there are none yet. Every scenario that you submit is stored.</p>
					<a class="button primary" href={linkTo("submit")}>
						Submit a job
					</a>
				</Empty>
			)}
			{stored.data && stored.data.scenarios.length > 0 && <Form scenarios={stored.data.scenarios} first={scenario} />}
		</>
	);
}

/** The answer to a dry run of what the form says. */
type Preview = { planned?: Planned; problem?: Problem; of: string };

const typing = 350; // milliseconds without a change until the service is asked

function usePreview(draft: Draft): { preview: Preview | undefined; asking: boolean } {
	const [preview, setPreview] = useState<Preview>();
	const lacking = missing(draft);
	const body = lacking ? "" : JSON.stringify(requestOf(draft, true));
	useEffect(() => {
		if (!body) return;
		const newer = new AbortController();
		const timer = setTimeout(async () => {
			try {
				setPreview({ of: body, planned: await call<Planned>("/studies", { method: "POST", json: JSON.parse(body), signal: newer.signal }) });
			} catch (error) {
				if (!newer.signal.aborted) setPreview({ of: body, problem: asProblem(error) });
			}
		}, typing);
		return () => {
			clearTimeout(timer);
			newer.abort();
		};
	}, [body]);
	return { preview: body ? preview : undefined, asking: body !== "" && preview?.of !== body };
}

function Form({ scenarios, first }: { scenarios: Scenarios; first?: string }) {
	const [draft, setDraft] = useState<Draft>(() => ({ ...blank, variants: [{ name: "base", scenario: scenarios.some((s) => s.id === first) ? first! : "" }] }));
	const [refused, setRefused] = useState<{ problem: Problem; of: string }>();
	const [busy, setBusy] = useState(false);
	const keyOf = useIntention();
	const change = (to: Partial<Draft>) => setDraft((d) => ({ ...d, ...to }));
	const { preview, asking } = usePreview(draft);
	const programs = useControllers();
	const content = JSON.stringify(requestOf(draft, false));
	const problem = (refused?.of === content ? refused.problem : undefined) ?? preview?.problem;
	const faults = problem?.faults ?? [];
	const fault = (location: string) => faultAt(faults, `body.${location}`);

	const submit = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		setRefused(undefined);
		try {
			const made = await call<Planned>("/studies", { method: "POST", json: requestOf(draft, false), headers: { "Idempotency-Key": keyOf(content) } });
			go("studies", made.study_id!);
		} catch (error) {
			setRefused({ of: content, problem: asProblem(error) });
			setBusy(false);
		}
	};

	const text = (name: keyof Draft, label: string, location: string, hint?: string, more: Record<string, unknown> = {}) => (
		<Field label={label} hint={hint} fault={fault(location)}>
			{(props) => <input {...props} {...more} autocomplete="off" value={draft[name] as string} onInput={(e) => change({ [name]: e.currentTarget.value })} />}
		</Field>
	);
	const decimal = { inputMode: "decimal" };
	const numeric = { inputMode: "numeric" };
	const lacking = missing(draft);
	const controller = {
		value: draft.controller,
		set: (name: keyof ControllerDraft, value: string) => setDraft((d) => ({ ...d, controller: { ...d.controller, [name]: value } })),
		fault: (name: keyof ControllerDraft) => fault(`run.controller.${name}`),
	};

	return (
		<form class="submit study-form" onSubmit={(e) => void submit(e)}>
			<Card title="Question">
				<div class="one-line">{text("name", "Name", "name", "What the study asks, in your words.", { required: true, maxLength: 100 })}</div>
				<Variants draft={draft} change={change} scenarios={scenarios} fault={fault} />
				<Axes draft={draft} change={change} fault={fault} programs={programs} />
			</Card>

			<Card title="Replications">
				<fieldset class="sources">
					<legend class="hidden">How often each point runs</legend>
					{(
						[
							["seeds", "These seeds"],
							["until", "Until the means are exact"],
						] as const
					).map(([how, title]) => (
						<label key={how}>
							<input type="radio" name="how" checked={draft.how === how} onChange={() => change({ how })} />
							{title}
						</label>
					))}
				</fieldset>
				<div class="grid">
					{draft.how === "seeds" && text("seeds", "Seeds", "replications", "A range such as 1:10, or a list. All points get the same ones, so that they pair.", { spellcheck: false })}
					{draft.how === "until" && (
						<>
							{text("aim", "Half width (%)", "replications.until.relative_half_width", "Of the 95 % interval, as a share of the mean.", decimal)}
							{text("min", "Least runs", "replications.until.min", "Of each point, before the first look.", numeric)}
							{text("max", "Most runs", "replications.until.max", "Of each point.", numeric)}
							<Field label="Interval of" fault={fault("replications.until.of")} hint={draft.of === "difference" ? "To the baseline." : undefined}>
								{(props) => (
									<select {...props} value={draft.of} onChange={(e) => change({ of: e.currentTarget.value as Draft["of"] })}>
										<option value="mean">Each mean</option>
										<option value="difference">Each difference</option>
									</select>
								)}
							</Field>
						</>
					)}
				</div>
				<Baseline draft={draft} change={change} fault={fault} />
				<fieldset class="outputs narrow">
					<legend>Metrics that the study is about</legend>
					{metrics.map((m) => (
						<label key={m}>
							<input type="checkbox" checked={draft.metrics.includes(m)} onChange={(e) => change({ metrics: e.currentTarget.checked ? metrics.filter((x) => x === m || draft.metrics.includes(x)) : draft.metrics.filter((x) => x !== m) })} />
							<span>{metricName(m)}</span>
						</label>
					))}
				</fieldset>
				{fault("metrics") && <span class="fault">{fault("metrics")}</span>}
				<p class="hint">{draft.metrics.length === 0 ? "None chosen: all of a run's metrics count, and more comparisons make each harder to tell apart from chance." : "Fewer metrics make fewer comparisons, and each is easier to tell apart from chance."}</p>
			</Card>

			<Card title="Runs">
				<div class="grid">
					{text("begin", "Begin (s)", "run.begin", "Empty for the scenario's.", decimal)}
					{text("end", "End (s)", "run.end", "Empty for the scenario's.", decimal)}
					{text("timeout", "Time limit (s)", "run.timeout_seconds", "Of one run, wall clock.", numeric)}
					{text("maxParallel", "Most at a time", "max_parallel", "Empty for your limits.", numeric)}
					<Field label="Cache" hint="Results of earlier runs that are the same." fault={fault("cache")}>
						{(props) => (
							<select {...props} value={draft.cache} onChange={(e) => change({ cache: e.currentTarget.value as Draft["cache"] })}>
								<option value="">Use: run only what has no results yet</option>
								<option value="refresh">Refresh: run all, and let later runs take them</option>
								<option value="off">Off: run all, and keep them to this study</option>
							</select>
						)}
					</Field>
					{text("stopShare", "Stop when failed (%)", "on_failure", "Empty to go on, however many fail.", decimal)}
				</div>
				<label class="check">
					<input type="checkbox" checked={draft.edgedata} onChange={(e) => change({ edgedata: e.currentTarget.checked })} />
					<span>
						Edge data <span class="hint">for a map of the differences</span>
					</span>
				</label>
				<label class="check">
					<input type="checkbox" checked={draft.replay} onChange={(e) => change({ replay: e.currentTarget.checked })} />
					<span>
						Recording <span class="hint">of each run, to watch it on the map</span>
					</span>
				</label>
			</Card>

			{programs && (
				<Card title="Controller">
					<div class="grid">
						<ProgramField {...controller} hint="Its path in the scenarios; empty for SUMO alone." />
						{draft.controller.file.trim() && <InterfaceField {...controller} />}
					</div>
					{draft.controller.file.trim() && <ArgumentsField {...controller} />}
				</Card>
			)}

			<Cost preview={preview} asking={asking} lacking={lacking} />
			{problem && <Refusal problem={problem} faults={faults} draft={draft} />}
			<div class="send">
				<button class="primary" type="submit" disabled={busy || lacking !== ""} aria-busy={busy}>
					Start the study
				</button>
				{lacking && <span class="muted">{lacking}</span>}
			</div>
		</form>
	);
}

type Part = { draft: Draft; change: (to: Partial<Draft>) => void; fault: (location: string) => string | undefined };

const titleOf = (s: Scenarios[number]): string => `${s.name || "unnamed"} (${s.id.slice(0, 8)}…)`;

function Variants({ draft, change, scenarios, fault }: Part & { scenarios: Scenarios }) {
	const set = (i: number, to: Partial<Draft["variants"][number]>) => {
		const before = draft.variants[i]!;
		// The baseline follows a variant that is renamed.
		const renamed = to.name !== undefined && draft.baseline !== "" && draft.baseline === before.name.trim();
		change({ variants: draft.variants.map((v, k) => (k === i ? { ...v, ...to } : v)), ...(renamed && { baseline: to.name!.trim() }) });
	};
	return (
		<fieldset class="parts">
			<legend>Variants</legend>
			{draft.variants.map((v, i) => (
				<div class="part" key={i}>
					<Field label={`Name of variant ${i + 1}`} fault={fault(`variants[${i}].name`)}>
						{(props) => <input {...props} autocomplete="off" maxLength={100} value={v.name} onInput={(e) => set(i, { name: e.currentTarget.value })} />}
					</Field>
					<Field label={`Scenario of variant ${i + 1}`} fault={fault(`variants[${i}].scenario`) ?? fault(`variants[${i}].run`)}>
						{(props) => (
							<select {...props} value={v.scenario} onChange={(e) => set(i, { scenario: e.currentTarget.value })}>
								<option value="">Choose one</option>
								{scenarios.map((s) => (
									<option key={s.id} value={s.id}>
										{titleOf(s)}
									</option>
								))}
							</select>
						)}
					</Field>
					<button type="button" class="quiet" aria-label={`Remove variant ${i + 1}`} disabled={draft.variants.length === 1} onClick={() => change({ variants: draft.variants.filter((_, k) => k !== i), ...(draft.baseline === v.name.trim() && { baseline: "" }) })}>
						Remove
					</button>
				</div>
			))}
			<button type="button" onClick={() => change({ variants: [...draft.variants, { name: "", scenario: "" }], baseline: draft.baseline || draft.variants[0]!.name.trim() })}>
				Add a variant
			</button>
			<span class="hint">A variant with changed files is a scenario that you derive from another one, under Scenarios.</span>
		</fieldset>
	);
}

const hints: Record<AxisKind, string> = { field: "", option: "Name of SUMO's option: time-to-teleport", arg: "Name of the controller's option: gain", xml: "vtypes.add.xml#vType[@id='car']/@sigma" };

function Axes({ draft, change, fault, programs }: Part & { programs: boolean }) {
	const set = (i: number, to: Partial<AxisDraft>) => change({ axes: draft.axes.map((a, k) => (k === i ? { ...a, ...to } : a)) });
	return (
		<fieldset class="parts">
			<legend>Axes</legend>
			{draft.axes.map((a, i) => (
				<div class="part axis" key={i}>
					<Field label={`Name of axis ${i + 1}`} fault={fault(`axes[${i}].name`)}>
						{(props) => <input {...props} autocomplete="off" maxLength={100} value={a.name} onInput={(e) => set(i, { name: e.currentTarget.value })} />}
					</Field>
					<Field label={`Kind of axis ${i + 1}`}>
						{(props) => (
							<select {...props} value={a.kind} onChange={(e) => set(i, { kind: e.currentTarget.value as AxisKind, target: e.currentTarget.value === "field" ? "scale" : "" })}>
								<option value="field">Field of a run</option>
								<option value="option">Option of SUMO</option>
								{programs && <option value="arg">Program argument</option>}
								<option value="xml">Attribute in a file</option>
							</select>
						)}
					</Field>
					<Field label={`What axis ${i + 1} sets`} fault={fault(`axes[${i}].set`)}>
						{(props) =>
							a.kind === "field" ? (
								<select {...props} value={a.target} onChange={(e) => set(i, { target: e.currentTarget.value })}>
									{axisFields.map((f) => (
										<option key={f}>{f}</option>
									))}
								</select>
							) : (
								<input {...props} autocomplete="off" spellcheck={false} placeholder={hints[a.kind]} value={a.target} onInput={(e) => set(i, { target: e.currentTarget.value })} />
							)
						}
					</Field>
					<Field label={`Values of axis ${i + 1}`} fault={fault(`axes[${i}].values`)}>
						{(props) => <input {...props} autocomplete="off" spellcheck={false} placeholder="0.8, 1, 1.2" value={a.values} onInput={(e) => set(i, { values: e.currentTarget.value })} />}
					</Field>
					<button type="button" class="quiet" aria-label={`Remove axis ${i + 1}`} onClick={() => change({ axes: draft.axes.filter((_, k) => k !== i), fixed: draft.fixed.filter((_, k) => k !== i) })}>
						Remove
					</button>
				</div>
			))}
			<button type="button" onClick={() => change({ axes: [...draft.axes, draft.axes.length === 0 ? blankAxis() : { name: "", kind: "field", target: "scale", values: "" }] })}>
				Add an axis
			</button>
			{draft.axes.length > 1 && (
				<label class="check">
					<input type="checkbox" checked={draft.combine === "zip"} onChange={(e) => change({ combine: e.currentTarget.checked ? "zip" : "product" })} />
					<span>
						Values in step <span class="hint">the first of all axes together, then the second, in place of every combination</span>
					</span>
				</label>
			)}
			{fault("combine") && <span class="fault">{fault("combine")}</span>}
		</fieldset>
	);
}

/** What points are compared with. What it leaves open is matched: the point with the same value. */
function Baseline({ draft, change, fault }: Part) {
	const named = draft.variants.filter((v) => v.name.trim());
	return (
		<fieldset class="parts">
			<legend>Baseline</legend>
			<div class="grid">
				<Field label="Variant" fault={fault("baseline.variant")}>
					{(props) => (
						<select {...props} value={draft.baseline} onChange={(e) => change({ baseline: e.currentTarget.value })}>
							<option value="">The same variant</option>
							{named.map((v, i) => (
								<option key={i} value={v.name.trim()}>
									{v.name}
								</option>
							))}
						</select>
					)}
				</Field>
				{draft.axes.map((a, i) => (
					<Field key={i} label={a.name.trim() || `Axis ${i + 1}`} fault={fault(`baseline.values.${a.name.trim()}`)}>
						{(props) => (
							<select {...props} value={draft.fixed[i] ?? ""} onChange={(e) => change({ fixed: draft.axes.map((_, k) => (k === i ? e.currentTarget.value : (draft.fixed[k] ?? ""))) })}>
								<option value="">The same value</option>
								{valuesOfAxis(a).map((v) => (
									<option key={JSON.stringify(v)} value={JSON.stringify(v)}>
										{String(v)}
									</option>
								))}
							</select>
						)}
					</Field>
				))}
			</div>
			<span class="hint">{draft.baseline || draft.fixed.some(Boolean) ? "Every point is compared with its partner at the baseline." : "Without one, points are not compared until you choose one later."}</span>
		</fieldset>
	);
}

/** Points by replications, and what they are expected to take. */
function Cost({ preview, asking, lacking }: { preview: Preview | undefined; asking: boolean; lacking: string }) {
	const s = preview?.planned;
	return (
		<section class="card cost" aria-label="What the study would be" aria-live="polite" aria-busy={asking}>
			{!s && <span class="muted">{lacking ? "The size of the study appears here." : asking ? "Planning…" : "The plan has problems."}</span>}
			{s && (
				<>
					<p class={asking ? "muted" : undefined}>
						<strong class="figure">
							{plural(s.points.length, "point")} × {plural(s.seeds.length, "replication")} = {plural(s.runs.planned, "run")}
						</strong>
						{s.runs.cached > 0 && <span>, {whole(s.runs.cached)} from the cache</span>}
						{s.most_runs > s.runs.planned && <span> in the first round, {whole(s.most_runs)} at most</span>}
					</p>
					<p class="muted">
						{s.estimate
							? `About ${whole(s.estimate.core_seconds)} core-seconds, ${duration(s.estimate.seconds)} if your limits are free for this study.`
							: "What it takes is unknown: none of these scenarios has run yet."}
					</p>
					<Warnings points={s.points} />
				</>
			)}
		</section>
	);
}

function Warnings({ points }: { points: Planned["points"] }) {
	const all = [...new Set(points.flatMap((p) => p.warnings))];
	if (all.length === 0) return null;
	const shown = 5;
	return (
		<ul class="faults warn">
			{all.slice(0, shown).map((w) => (
				<li key={w}>{w}</li>
			))}
			{all.length > shown && <li>and {plural(all.length - shown, "more warning")}</li>}
		</ul>
	);
}

/** What the form has no field for; the rest is at the fields. */
function Refusal({ problem, faults, draft }: { problem: Problem; faults: Fault[]; draft: Draft }) {
	const placed = [
		"name", "replications", "metrics", "max_parallel", "on_failure", "combine", "cache", "run.begin", "run.end", "run.timeout_seconds",
		"run.controller.file", "run.controller.interface", "run.controller.args",
		...draft.variants.flatMap((_, i) => [`variants[${i}].name`, `variants[${i}].scenario`, `variants[${i}].run`]),
		...draft.axes.flatMap((_, i) => [`axes[${i}].name`, `axes[${i}].set`, `axes[${i}].values`]),
		"baseline.variant", ...draft.axes.map((a) => `baseline.values.${a.name.trim()}`),
	].map((l) => `body.${l}`);
	// Of an aim only the inputs show faults, and only those of the way that is chosen.
	const aim = draft.how === "until" ? ["relative_half_width", "min", "max", "of"].map((n) => `body.replications.until.${n}`) : ["body.replications"];
	const isPlaced = (f: Fault) => (isAt(f, "body.replications") ? aim.some((l) => isAt(f, l)) : placed.some((l) => isAt(f, l)));
	const rest = faults.filter((f) => !isPlaced(f));
	const shown = faults.length === 0 ? problem : new Problem(problem.status, problem.code, problem.title, rest.length === 0 ? "Fix the fields marked above." : "The study cannot be accepted.", rest, problem.requestId);
	return <ProblemNotice problem={shown} />;
}

// One study: its points as they run, what they come to, and how they compare.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { duration, exactly, metricName, plural, whole } from "../format";
import { Card, Copy, Loading, ProblemNotice, Progress, Tabs, Time, Title } from "../parts";
import { linkTo } from "../route";
import { Actions } from "./actions";
import { Comparison } from "./comparison";
import { Grid } from "./grid";
import { StudyPill } from "./list";
import { isOpen, type Live, type Statistics, type Study, useNumbers, useStudy } from "./live";
import { DifferenceMap } from "./map";
import { Notes } from "./notes";
import { PlanOf } from "./planned";
import { PlotsOfStudy } from "./plots";
import { PointPage } from "./point";

const views = ["points", "comparison", "plots", "map", "plan"];

/** Metrics to begin with, in a study that names none. */
const usual = ["mean_time_loss", "mean_travel_time", "mean_speed"];

const ofTheRun = new Set(["begin", "end", "simulated_time", "wall_time", "real_time_factor", "vehicle_updates_per_second"]);

export function StudyPage({ id, tab, part }: { id: string; tab: string; part: string | undefined }) {
	const { study, live, connected } = useStudy(id);
	const [wanted, setMetric] = useState("");
	const s = study.data;
	const about = s?.plan.metrics ?? [];
	// Only the study's metrics are compared: others would be further chances of a false alarm.
	const limited = tab === "comparison" && about.length > 0;
	const metric = (limited && !about.includes(wanted) ? "" : wanted) || (about[0] ?? usual.find((m) => s?.metrics.includes(m)) ?? s?.metrics[0] ?? "");
	const numbers = useNumbers(id, live, metric);
	if (!s || !live || study.problem?.status === 404) {
		return (
			<>
				<Title>Study</Title>
				{study.problem ? <ProblemNotice problem={study.problem} retry={study.reload} /> : <Loading what="the study" />}
			</>
		);
	}
	const shown = views.includes(tab) ? tab : views[0]!;
	if (shown === "points" && part !== undefined) return <PointPage study={s} live={live} point={Number(part)} />;
	const of = { id, study: s, live, metric };
	const choice = <MetricChoice study={s} metric={metric} choose={setMetric} limited={limited} />;
	return (
		<>
			<Head study={s} live={live} changed={study.reload} />
			{study.problem && <ProblemNotice problem={study.problem} />}
			<Facts study={s} live={live} connected={connected} />
			<Tabs label="Views of this study" at={shown} tabs={views.map((name) => ({ name, title: name[0]!.toUpperCase() + name.slice(1), href: linkTo("studies", id, name) }))} />
			{(shown === "points" || shown === "comparison") && <div class="filters metric-choice">{choice}</div>}
			{shown === "points" && (
				<>
					{numbers.problem && <ProblemNotice problem={numbers.problem} retry={numbers.again} />}
					<Points {...of} loaded={numbers.loaded} />
				</>
			)}
			{shown === "comparison" && <Comparison {...of} />}
			{shown === "plots" && <PlotsOfStudy {...of} choice={choice} />}
			{shown === "map" && <DifferenceMap id={id} study={s} />}
			{shown === "plan" && <PlanOf study={s} />}
		</>
	);
}

function Head({ study, live, changed }: { study: Study; live: Live; changed: () => void }) {
	return <Title beside={<Actions study={study} standing={live.standing.value} changed={changed} />}>{study.name}</Title>;
}

function Facts({ study, live, connected }: { study: Study; live: Live; connected: boolean }) {
	const { status, message, runs, eta } = live.standing.value;
	const missing = runs.failed + runs.cancelled;
	return (
		<Card>
			<div class="state">
				<StudyPill state={status} />
				{isOpen(status) && <Progress share={runs.planned > 0 ? runs.done / runs.planned : 0} label="Progress" />}
				<span class="muted">
					{whole(runs.done)} of {plural(runs.planned, "run")}
					{runs.running > 0 && `, ${whole(runs.running)} running`}
					{runs.cached > 0 && `, ${whole(runs.cached)} from the cache`}
				</span>
				{missing > 0 && <strong class="warn">{plural(missing, "run")} missing</strong>}
				{isOpen(status) && !connected && <span class="muted">Connection lost; the page reconnects.</span>}
			</div>
			{message && <p class={status === "FAILED" ? "notice bad" : "muted remark"}>{message}</p>}
			<dl class="facts">
				<Fact name="Points">
					{whole(study.points.length)} × {plural(study.seeds?.length ?? 0, "seed")}
				</Fact>
				<Fact name="Created">
					<Time at={study.created_at} />
				</Fact>
				{isOpen(status) ? <Fact name="Expected end">{eta ? <Time at={eta} /> : "not known yet"}</Fact> : <Fact name="Finished"><Time at={study.finished_at} /></Fact>}
				<Fact name="Used">{whole(study.core_seconds)} core-seconds</Fact>
				{isOpen(status) && study.remaining && <Fact name="Left">about {duration(study.remaining.seconds)}</Fact>}
				<Fact name="Study">
					<code title={study.study_id}>…{study.study_id!.slice(-8)}</code> <Copy text={study.study_id!} what="the study's id" />
				</Fact>
			</dl>
		</Card>
	);
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
	return (
		<div>
			<dt>{name}</dt>
			<dd>{children}</dd>
		</div>
	);
}

function MetricChoice({ study, metric, choose, limited }: { study: Study; metric: string; choose: (m: string) => void; limited: boolean }) {
	const about = study.plan.metrics ?? [];
	const others = study.metrics.filter((m) => !about.includes(m) && !ofTheRun.has(m));
	const options = (names: string[]) =>
		names.map((m) => (
			<option key={m} value={m}>
				{metricName(m)}
			</option>
		));
	return (
		<label>
			<span>Metric</span>
			<select value={metric} onChange={(e) => choose(e.currentTarget.value)}>
				{about.length > 0 ? (
					<>
						<optgroup label="Of this study">{options(about)}</optgroup>
						{!limited && <optgroup label="Others">{options(others)}</optgroup>}
					</>
				) : (
					options(others)
				)}
			</select>
		</label>
	);
}

function Points({ study, live, metric, loaded }: { study: Study; live: Live; metric: string; loaded: Statistics | undefined }) {
	const of = loaded?.metrics[0];
	const unit = !of || of.unit === "1" ? "" : of.unit;
	const title = `${metricName(metric)}${unit && ` (${unit})`}`;
	return (
		<Card title={title} beside={<span class="muted small">Mean ± half width of its {exactly(loaded?.confidence ?? 0.95)} % interval. Select a point for its runs.</span>}>
			<Grid study={study} live={live} unit={unit} metric={metricName(metric)} />
			<Notes of={live.notes.value} />
		</Card>
	);
}

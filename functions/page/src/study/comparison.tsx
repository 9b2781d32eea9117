// Each point compared with its baseline, as sentences.
import { useState } from "preact/hooks";
import { get, type Got } from "../api";
import { metricName, plural } from "../format";
import { useLoad } from "../load";
import { Card, Copy, Empty, Loading, ProblemNotice } from "../parts";
import { valueText } from "./layout";
import { addressOf, isOpen, type Live, type Study } from "./live";
import { Notes } from "./notes";

type Answer = Got<"/studies/{id}/comparison">;
type One = Answer["comparisons"][number];

const interval = 5000; // milliseconds, while runs end

export function Comparison({ id, study, live, metric }: { id: string; study: Study; live: Live; metric: string }) {
	const planned = study.plan.baseline;
	const [baseline, setBaseline] = useState("");
	const [decided, setDecided] = useState(false);
	const open = isOpen(live.standing.value.status);
	const query = new URLSearchParams({ metric, ...(baseline && { baseline }) });
	const address = addressOf(id, `/comparison?${query}`) as "/studies/{id}/comparison";
	const chosen = baseline !== "" || planned !== undefined;
	const answer = useLoad(`${address} ${open} ${study.seeds?.length}`, async (signal) => (chosen ? await get<"/studies/{id}/comparison">(address, signal) : undefined), () => (open && chosen ? interval : undefined));
	const c = answer.data;
	const shown = c?.comparisons.filter((x) => !decided || x.verdict === "lower" || x.verdict === "higher") ?? [];
	return (
		<Card
			title={`${metricName(metric)}, compared`}
			beside={
				<div class="filters">
					<label>
						<span>Baseline</span>
						<select value={baseline} onChange={(e) => setBaseline(e.currentTarget.value)}>
							<option value="">{planned ? "The study’s" : "Choose one"}</option>
							<Baselines study={study} />
						</select>
					</label>
					<label>
						<input type="checkbox" checked={decided} onChange={(e) => setDecided(e.currentTarget.checked)} />
						<span>Only what is told apart</span>
					</label>
					{shown.length > 1 && <Copy text={shown.map((x) => x.sentence).join("\n")} what="all sentences" word="Copy all sentences" />}
				</div>
			}
		>
			{answer.problem && <ProblemNotice problem={answer.problem} retry={answer.reload} />}
			{chosen && answer.loading && <Loading what="the comparison" />}
			{!chosen && <Empty>The study names no baseline. Choose what the points are compared with.</Empty>}
			{c && shown.length === 0 && <Empty>{decided ? "No difference is told apart from chance." : "No point has a partner to be compared with."}</Empty>}
			{c && (
				<>
					<ul class="sentences">
						{shown.map((x) => (
							<Sentence key={x.point} of={x} incomplete={c.points[x.point]?.incomplete || c.points[x.baseline]?.incomplete} />
						))}
					</ul>
					{c.comparisons.length > 0 && (
						<p class="small muted">
							p values are adjusted by {c.adjustment}’s method over the {plural(c.family, "comparison")} of this study. Each interval is for its comparison alone.
						</p>
					)}
					<Notes of={c.notes} />
				</>
			)}
		</Card>
	);
}

const mostFixed = 50; // more are too many to choose from

/** What can be a baseline, as options: each variant, and each value of an axis. */
export function Baselines({ study }: { study: Study }) {
	const fixed = (study.plan.axes ?? []).flatMap((a) => (a.values ?? []).map((value: unknown) => ({ axis: a.name, value })));
	return (
		<>
			{study.plan.variants.map((v) => (
				<option key={v.name} value={v.name}>
					{v.name}
				</option>
			))}
			{fixed.slice(0, mostFixed).map(({ axis, value }) => (
				<option key={axis + valueText(value)} value={JSON.stringify({ values: { [axis]: value } })}>
					{axis} {valueText(value)}
				</option>
			))}
		</>
	);
}

const signs: Record<One["verdict"], string> = { lower: "▼", higher: "▲", by_itself: "◇", not_told_apart: "○", constant: "=", unknown: "?" };

function Sentence({ of: x, incomplete }: { of: One; incomplete: boolean | undefined }) {
	const tone = x.better == null ? (x.verdict === "lower" || x.verdict === "higher" ? "apart" : "") : x.better ? "better" : "worse";
	return (
		<li class={tone}>
			<span class="sign" aria-hidden="true">
				{signs[x.verdict]}
			</span>
			<span class="said">
				{x.sentence}
				{x.better != null && <span class="pill">{x.better ? "better" : "worse"}</span>}
				{incomplete && <span class="pill cancelled">incomplete</span>}
			</span>
			<Copy text={x.sentence} what="the sentence" />
		</li>
	);
}

// The plots that the service draws of a study.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get } from "../api";
import { Drawn } from "../drawn";
import { useLoad } from "../load";
import { Empty, Loading, ProblemNotice } from "../parts";
import { Baselines } from "./comparison";
import { addressOf, isOpen, type Live, type Study } from "./live";

const interval = 10_000; // milliseconds, while runs end

export function PlotsOfStudy({ id, study, live, metric, choice }: { id: string; study: Study; live: Live; metric: string; choice: ComponentChildren }) {
	const axes = (study.plan.axes ?? []).map((a) => a.name);
	const [axis, setAxis] = useState("");
	const [baseline, setBaseline] = useState("");
	const open = isOpen(live.standing.value.status);
	const list = useLoad(id, (signal) => get<"/studies/{id}/plots">(addressOf(id, "/plots") as "/studies/{id}/plots", signal));
	const options = { metric, ...(axis && { axis }), ...(baseline && { baseline }) };
	return (
		<>
			<div class="filters metric-choice">
				{choice}
				{axes.length > 1 && (
					<label>
						<span>Axis</span>
						<select value={axis} onChange={(e) => setAxis(e.currentTarget.value)}>
							<option value="">The first</option>
							{axes.map((a) => (
								<option key={a}>{a}</option>
							))}
						</select>
					</label>
				)}
				<label>
					<span>Baseline</span>
					<select value={baseline} onChange={(e) => setBaseline(e.currentTarget.value)}>
						<option value="">{study.plan.baseline ? "The study’s" : "None"}</option>
						<Baselines study={study} />
					</select>
				</label>
			</div>
			{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
			{list.loading && <Loading what="plots" />}
			{list.data?.plots.length === 0 && <Empty>There are no plots yet.</Empty>}
			<div>
				{list.data?.plots.map((p) => (
					<Drawn
						key={p.name}
						title={p.title}
						alt={`${p.title}: the numbers are under Points and Comparison`}
						address={addressOf(id, `/plots/${p.name}`)}
						options={options}
						file={`${study.name}-${p.name}`}
						version={`${open} ${study.seeds?.length ?? 0}`}
						interval={open ? interval : undefined}
					/>
				))}
			</div>
		</>
	);
}

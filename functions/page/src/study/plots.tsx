// The plots that the service draws of a study, in the page's theme.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { download, get, send } from "../api";
import { useLoad } from "../load";
import { Action, Card, Empty, Loading, ProblemNotice } from "../parts";
import { theme } from "../theme";
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
					<Plot key={p.name} id={id} name={p.name} title={p.title} options={options} file={`${study.name}-${p.name}`} open={open} seeds={study.seeds?.length ?? 0} />
				))}
			</div>
		</>
	);
}

/** Whether a plot of the usual width would have letters too small to read. */
const narrow = (): boolean => innerWidth <= 720;

function Plot({ id, name, title, options, file, open, seeds }: { id: string; name: string; title: string; options: Record<string, string>; file: string; open: boolean; seeds: number }) {
	const path = (kind: string, more: Record<string, string> = {}) => addressOf(id, `/plots/${name}.${kind}?${new URLSearchParams({ ...options, ...more })}`);
	const address = path("svg", { theme: theme.value, width: narrow() ? "600" : "1200" });
	const image = useLoad(
		`${address} ${open} ${seeds}`,
		async (signal) => (await send(address, { signal })).blob(),
		() => (open ? interval : undefined),
	);
	const source = useMemo(() => image.data && URL.createObjectURL(image.data), [image.data]);
	useEffect(() => () => source && URL.revokeObjectURL(source), [source]);
	const plain = file.replace(/[^\p{L}\p{N}._-]+/gu, "-");
	return (
		<Card
			title={title}
			beside={
				<span class="save">
					{["svg", "png"].map((kind) => (
						<Action key={kind} kind="quiet" label={`Save ${title} as ${kind.toUpperCase()}`} act={() => download(path(kind), `${plain}.${kind}`)}>
							{kind.toUpperCase()}
						</Action>
					))}
				</span>
			}
		>
			{image.problem && <ProblemNotice problem={image.problem} retry={image.reload} />}
			{image.loading && <Loading what="the plot" />}
			{source && <img class="plot" src={source} alt={`${title}: the numbers are under Points and Comparison`} />}
		</Card>
	);
}

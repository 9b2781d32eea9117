// The plots that the service draws of a study, in the page's theme.
import { useEffect, useMemo, useState } from "preact/hooks";
import { call, download, send } from "../api";
import { useLoad } from "../load";
import { Action, Card, Empty, Loading, ProblemNotice } from "../parts";
import { theme } from "../theme";
import { addressOf, isOpen, type Live, type Study } from "./live";

type Plots = { plots: { name: string; title: string; svg: string; png: string }[] };

const interval = 10_000; // milliseconds, while runs end

export function PlotsOfStudy({ id, study, live, metric }: { id: string; study: Study; live: Live; metric: string }) {
	const axes = (study.plan.axes ?? []).map((a) => a.name);
	const [axis, setAxis] = useState("");
	const [baseline, setBaseline] = useState("");
	const open = isOpen(live.standing.value.status);
	const list = useLoad(id, (signal) => call<Plots>(addressOf(id, "/plots"), { signal }));
	const options = { metric, ...(axis && { axis }), ...(baseline && { baseline }) };
	return (
		<>
			{(axes.length > 1 || study.plan.variants.length > 1) && (
				<div class="filters metric-choice">
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
					{study.plan.variants.length > 1 && (
						<label>
							<span>Baseline</span>
							<select value={baseline} onChange={(e) => setBaseline(e.currentTarget.value)}>
								<option value="">{study.plan.baseline ? "The study's" : "None"}</option>
								{study.plan.variants.map((v) => (
									<option key={v.name}>{v.name}</option>
								))}
							</select>
						</label>
					)}
				</div>
			)}
			{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
			{list.loading && <Loading what="plots" />}
			{list.data?.plots.length === 0 && <Empty>There are no plots yet.</Empty>}
			<div class="columns charts">
				{list.data?.plots.map((p) => (
					<Plot key={p.name} id={id} name={p.name} title={p.title} options={options} file={`${study.name}-${p.name}`} open={open} seeds={study.seeds?.length ?? 0} />
				))}
			</div>
		</>
	);
}

function Plot({ id, name, title, options, file, open, seeds }: { id: string; name: string; title: string; options: Record<string, string>; file: string; open: boolean; seeds: number }) {
	const path = (kind: string, more: Record<string, string> = {}) => addressOf(id, `/plots/${name}.${kind}?${new URLSearchParams({ ...options, ...more })}`);
	const address = path("svg", { theme: theme.value });
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

// The points of a study as a table of live cells.
import type { Signal } from "@preact/signals";
import { memo } from "preact/compat";
import { useEffect, useMemo, useState } from "preact/hooks";
import { meanText, number, whole } from "../format";
import { Scroll } from "../parts";
import { linkTo } from "../route";
import { labelOf, layoutOf } from "./layout";
import type { Cell, Live, Range, Study } from "./live";

/** Rows drawn at once; the others follow, a frame for each portion, so that the first numbers do not wait for the last row. */
const portion = 25;

function useGrowing(count: number): number {
	const [shown, setShown] = useState(portion);
	useEffect(() => {
		if (shown >= count) return;
		const frame = requestAnimationFrame(() => setShown((n) => n + portion));
		return () => cancelAnimationFrame(frame);
	}, [shown, count]);
	return Math.min(shown, count);
}

export function Grid({ study, live, unit, metric }: { study: Study; live: Live; unit: string; metric: string }) {
	const axes = useMemo(() => (study.plan.axes ?? []).map((a) => a.name), [study]);
	const layout = useMemo(() => layoutOf(study.points, axes, study.plan.combine === "zip"), [study]);
	const shown = useGrowing(layout.rows.length);
	return (
		<Scroll label={`${metric} at each point`}>
			<table class="list grid-of-points" onKeyDown={moveFocus}>
				<caption class="hidden">
					{metric}
					{unit && ` in ${unit}`}: mean and half width of its interval at each point
				</caption>
				<thead>
					<tr>
						<th scope="col">Point</th>
						{layout.columns.map((c) => (
							<th key={c} scope="col">
								{layout.across === undefined ? metric : `${layout.across} ${c}`}
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{layout.rows.slice(0, shown).map((row) => (
						<tr key={row.cells.find((c) => c !== undefined)}>
							<th scope="row">
								<strong>{row.variant}</strong>
								{row.values.map((v) => (
									<span key={v}>{v}</span>
								))}
							</th>
							{row.cells.map((point, i) =>
								point === undefined ? (
									<td key={i} />
								) : (
									<PointCell key={i} id={study.study_id!} point={point} label={labelOf(study.points[point]!, axes)} of={live.cells[point]!} range={live.range} needed={study.points[point]!.needed} />
								),
							)}
						</tr>
					))}
				</tbody>
			</table>
		</Scroll>
	);
}

const PointCell = memo(function PointCell({ id, point, label, of, range, needed }: { id: string; point: number; label: string; of: Signal<Cell>; range: Signal<Range>; needed: number }) {
	const { runs, estimate: e, fate } = of.value;
	const missing = runs.failed + runs.cancelled;
	return (
		<td>
			<a class="point" href={linkTo("studies", id, "points", String(point))}>
				<span class="hidden">{label}: </span>
				<span class="value figure">{e?.mean == null ? <span class="muted">–</span> : meanText(e.mean, e.half_width)}</span>
				<Interval cell={of} range={range} />
				<span class="counts">
					<span>{runs.succeeded === needed ? `n = ${e?.n ?? runs.succeeded}` : `${whole(runs.succeeded)} of ${whole(needed)}`}</span>
					{runs.running > 0 && <span class="at-work">{runs.running} running</span>}
					{missing > 0 && (
						<span class="missing" title={reasonsText(fate?.reasons)}>
							<span aria-hidden="true">▲ </span>
							{missing} missing
						</span>
					)}
					{(fate?.teleports ?? 0) > 0 && <span title="Mean number of vehicles that SUMO moved past a jam">{number(fate!.teleports!)} teleports</span>}
					{(fate?.unfinished_trips ?? 0) > 0 && <span title="Mean number of vehicles that had not arrived at the end">{number(fate!.unfinished_trips!)} unfinished</span>}
					{e?.constant && <span title="All runs gave the same number: the seed changes nothing that this metric sees">constant</span>}
				</span>
			</a>
		</td>
	);
});

export const reasonsText = (reasons: Record<string, number> | undefined): string =>
	Object.entries(reasons ?? {})
		.map(([reason, n]) => `${n} × ${reason}`)
		.join(", ");

/** Where the mean and its interval lie within those of all points. */
function Interval({ cell, range }: { cell: Signal<Cell>; range: Signal<Range> }) {
	const e = cell.value.estimate;
	const { low, high } = range.value;
	if (e?.mean == null) return <span class="interval" aria-hidden="true" />;
	const at = (v: number) => Math.max(0, Math.min(100, (100 * (v - low)) / (high - low)));
	const from = at(e.low ?? e.mean);
	return (
		<span class="interval" aria-hidden="true">
			<span class="bar" style={{ left: `${from}%`, width: `${at(e.high ?? e.mean) - from}%` }} />
			<span class="mean" style={{ left: `${at(e.mean)}%` }} />
		</span>
	);
}

/** Arrow keys go from cell to cell. */
function moveFocus(event: KeyboardEvent): void {
	const cell = (event.target as Element).closest("td");
	const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
	if (!cell || !step || event.ctrlKey || event.metaKey || event.altKey) return;
	const row = cell.parentElement as HTMLTableRowElement;
	const next = (row.parentElement as HTMLTableSectionElement).rows[row.sectionRowIndex + step[0]!]?.cells[cell.cellIndex + step[1]!];
	const link = next?.querySelector("a");
	if (!link) return;
	event.preventDefault();
	link.focus();
}

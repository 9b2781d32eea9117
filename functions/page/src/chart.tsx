// Curves over time or over a measure, drawn by uPlot in the page's colours.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock, number } from "./format";
import { colour, theme } from "./theme";

export type Curve = {
	name: string;
	values: (number | null)[];
	/** Index of the page's curve colour; by default the curve's position. */
	hue?: number;
	dashed?: boolean;
	filled?: boolean;
};

export const hues = 6;

export function Chart({ label, x, xLabel, xKind = "clock", unit, curves, height = 240, shape = "line", sync }: {
	label: string; // for screen readers
	x: number[];
	xLabel: string;
	/** What x is: seconds of simulated time, seconds since 1970, or a plain number. */
	xKind?: "clock" | "time" | "number";
	unit: string;
	curves: Curve[];
	height?: number;
	shape?: "line" | "steps" | "bars";
	sync?: string; // charts with the same key share a cursor
}) {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | undefined>(undefined);
	const look = theme.value;
	const data: uPlot.AlignedData = [x, ...curves.map((c) => c.values)];
	// A change of any of these rebuilds the plot; new data alone do not.
	const hours = xKind === "clock" && (x.at(-1) ?? 0) >= 3600;
	const form = JSON.stringify([look, height, unit, xLabel, xKind, hours, shape, sync, curves.map((c) => [c.name, c.hue, c.dashed, c.filled])]);

	useEffect(() => {
		const parent = box.current!;
		const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18, labelGap: 2 };
		const xText = (v: number | null | undefined) => (v == null ? "" : xKind === "clock" ? clock(v, hours) : xKind === "time" ? dayTime(v) : number(v));
		const xTitle = xKind === "clock" ? `${xLabel} (${hours ? "h:min:s" : "min:s"})` : xLabel;
		const made = new uPlot(
			{
				width: Math.max(1, parent.clientWidth),
				height,
				scales: { x: { time: xKind === "time" }, y: { range: (_u, min, max) => [Math.min(0, min ?? 0), max > 0 ? max * 1.08 : 1] } },
				cursor: { ...(sync && { sync: { key: sync } }), points: { size: 6 }, drag: { x: true, y: false } },
				axes: [
					{ ...axis, label: xTitle, size: 28, space: 64, values: (_u, splits) => splits.map(xText), ...(xKind === "clock" && { incrs: clockSteps }) },
					{ ...axis, label: unit, size: 56, values: (_u, splits) => splits.map((v) => number(v)), ...(counted.has(unit) && { incrs: wholeSteps }) },
				],
				series: [
					{ label: xLabel, value: (_u, v) => xText(v) },
					...curves.map((c, i): uPlot.Series => {
						const stroke = colour(`curve-${(c.hue ?? i) % hues}`);
						return {
							label: c.name,
							stroke,
							width: 1.75,
							dash: c.dashed ? [6, 4] : undefined,
							fill: c.filled ? stroke + "30" : undefined,
							points: { show: false },
							value: (_u, v) => (v == null ? "" : `${number(v)} ${unit}`),
							...(shape === "steps" && { paths: uPlot.paths.stepped!({ align: 1 }) }),
							...(shape === "bars" && { paths: uPlot.paths.bars!({ size: [1, Infinity], align: 1 }), fill: stroke + "66", width: 1 }),
						};
					}),
				],
			},
			data,
			parent,
		);
		plot.current = made;
		const resized = new ResizeObserver(() => made.setSize({ width: Math.max(1, parent.clientWidth), height }));
		resized.observe(parent);
		return () => {
			resized.disconnect();
			made.destroy();
		};
	}, [form]);

	useEffect(() => plot.current?.setData(data), [x, ...curves.map((c) => c.values)]);

	return <div class="chart" role="img" aria-label={label} ref={box} />;
}

const dayTime = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

/** Units of things that are counted: no axis label between two whole numbers. */
const counted = new Set(["jobs", "trips", "vehicles"]);
const wholeSteps = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();

/** Tick distances in seconds that are round on a clock. */
const clockSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

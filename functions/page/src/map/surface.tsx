// The map's drawing surface: one canvas for the network, one for what is selected, one for what moves over both, and navigation by
// pointer, wheel, pinch and keys.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number, plural } from "../format";
import { colour, theme } from "../theme";
import { Camera, placed, View } from "./camera";
import { classesOf, type Measure, plain } from "./measures";
import type { Network } from "./network";
import { drawHighlight, drawNetwork, type Look } from "./painter";
import { none, ramp } from "./scale";

/** Pixels within which the pointer hits an edge. */
const reach = 10;
/** With this many visible edges, a movement transforms the last drawing instead of redrawing every frame. */
const many = 2500;
const settled = 120; // milliseconds without movement until they are redrawn
/** What the next frame redraws: nothing, only transforming what is there; what moves; or everything. */
const [place, moving, all] = [0, 1, 2] as const;
type What = typeof place | typeof moving | typeof all;

const keyStep = 60; // pixels
const keyZoom = 1.4;

/** What moves over the network, on a canvas of its own. */
export type Layer = {
	/** Takes the canvas, and what has the layer drawn when it has changed by itself. Returns what ends it. */
	attach: (canvas: HTMLCanvasElement, redraw: () => void) => () => void;
	draw: (camera: Camera) => void;
	/** Selects what is at a place of the network, within reach in metres; false if nothing of the layer is there. */
	press: (x: number, y: number, reach: number) => boolean;
};

export function Surface({ network, measure, interval, selected, select, wanted, layer, view: shared, describe, children }: {
	network: Network;
	measure: Measure;
	interval: number;
	selected: number | undefined;
	select: (edge: number | undefined) => void;
	wanted: { edge: number } | undefined;
	layer?: Layer;
	view?: View; // shared with other maps
	describe: string;
	children: ComponentChildren;
}) {
	const base = useRef<HTMLCanvasElement>(null);
	const over = useRef<HTMLCanvasElement>(null);
	const above = useRef<HTMLCanvasElement>(null);
	const frame = useRef<HTMLDivElement>(null);
	const view = useMemo(() => shared ?? new View(), [shared, network]);
	const { camera } = view;
	const [hovered, setHovered] = useState<{ edge: number; x: number; y: number }>();
	const [perPixel, setPerPixel] = useState(1); // metres
	const due = useRef({ what: place as What, request: 0, settle: 0 });
	const paint = useRef((_what: What) => {});
	/** Where the camera was when each canvas was drawn. */
	const drawn = useRef({ base: new Camera(), over: new Camera() });

	const classes = useMemo(() => classesOf(measure, interval, network.edges.length), [measure, interval, network]);
	const look = useMemo(
		(): Look => ({ ramp: ramp(theme.value, measure.scale.diverging), unsampled: colour("unsampled"), casing: colour("casing"), highlight: colour("accent"), halo: colour("halo") }),
		[theme.value, measure.scale.diverging],
	);

	paint.current = (what) => {
		const under = base.current?.getContext("2d");
		const marks = over.current?.getContext("2d");
		if (!under || !marks) return;
		if (what >= all) {
			drawNetwork(under, camera, network, classes, look);
			Object.assign(drawn.current.base, camera);
		}
		if (what >= moving) {
			marks.clearRect(0, 0, camera.width, camera.height);
			for (const edge of new Set([selected, hovered?.edge])) {
				if (edge !== undefined) drawHighlight(marks, camera, network, edge, classes[edge] ?? none, look);
			}
			Object.assign(drawn.current.over, camera);
		}
		placed(base.current!, camera.since(drawn.current.base));
		placed(over.current!, camera.since(drawn.current.over));
		layer?.draw(camera);
		setPerPixel(1 / camera.scale);
	};
	const draw = (what: What) => {
		due.current.what = Math.max(due.current.what, what) as What;
		due.current.request ||= requestAnimationFrame(() => {
			const { what, settle } = due.current;
			due.current = { what: place, request: 0, settle };
			paint.current(what); // with the latest state
		});
	};
	/** Draws after a movement, which many more may follow. */
	const move = useRef(() => {});
	move.current = () => {
		clearTimeout(due.current.settle);
		if (network.within(camera.view()).length < many) return draw(all);
		draw(place);
		due.current.settle = window.setTimeout(() => draw(all), settled);
	};

	useEffect(() => {
		const resized = new ResizeObserver(() => {
			if (!frame.current) return; // the view has just been left
			const box = frame.current.getBoundingClientRect();
			const first = camera.width === 1;
			const before = [camera.width, camera.height];
			camera.width = box.width;
			camera.height = box.height;
			for (const canvas of [base.current!, over.current!, above.current!]) {
				canvas.width = Math.round(box.width * devicePixelRatio);
				canvas.height = Math.round(box.height * devicePixelRatio);
				if (canvas !== above.current) canvas.getContext("2d")!.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
			}
			if (first) camera.fit(network.bounds);
			if (first && view.begin) camera.show(...view.begin);
			if (!first && shared && before[0] !== camera.width) view.moved();
			draw(all);
		});
		resized.observe(frame.current!);
		return () => {
			resized.disconnect();
			cancelAnimationFrame(due.current.request);
			clearTimeout(due.current.settle);
			due.current.request = 0;
		};
	}, [camera]);
	useEffect(() => draw(all), [classes, look]);
	useEffect(() => draw(moving), [selected, hovered]);
	useEffect(() => {
		const redraw = () => draw(place);
		const end = layer?.attach(above.current!, () => !due.current.request && layer.draw(camera));
		redraw();
		return end;
	}, [layer, camera]);
	useEffect(() => {
		const moved = () => move.current();
		view.watchers.add(moved);
		return () => void view.watchers.delete(moved);
	}, [view]);
	useEffect(() => {
		if (!wanted) return;
		const b = network.boxOf(wanted.edge);
		const round = Math.max(150, 2 * (b.maxX - b.minX), 2 * (b.maxY - b.minY)); // metres of surroundings
		camera.fit({ minX: b.minX - round, minY: b.minY - round, maxX: b.maxX + round, maxY: b.maxY + round });
		view.moved();
	}, [wanted]);

	usePointers(frame, camera, {
		moved: () => {
			setHovered(undefined);
			view.moved();
		},
		hover: (x, y) => {
			const edge = edgeAt(camera, network, x, y);
			setHovered((h) => (edge === undefined ? undefined : h?.edge === edge ? h : { edge, x, y }));
		},
		press: (x, y) => {
			if (!layer?.press(...camera.place(x, y), reach / camera.scale)) select(edgeAt(camera, network, x, y));
		},
	});

	const keys: Record<string, () => void> = {
		ArrowLeft: () => camera.pan(keyStep, 0),
		ArrowRight: () => camera.pan(-keyStep, 0),
		ArrowUp: () => camera.pan(0, keyStep),
		ArrowDown: () => camera.pan(0, -keyStep),
		"+": () => camera.zoom(keyZoom),
		"=": () => camera.zoom(keyZoom),
		"-": () => camera.zoom(1 / keyZoom),
		"0": () => camera.fit(network.bounds),
	};
	const press = (key: string): boolean => {
		const act = keys[key];
		act?.();
		if (act) view.moved();
		return act !== undefined;
	};
	const scaleBar = roundBelow(100 * perPixel);

	return (
		<div class="map">
			<div
				class="surface"
				ref={frame}
				tabIndex={0}
				role="application"
				aria-label={describe}
				onKeyDown={(e) => {
					if (!e.ctrlKey && !e.metaKey && !e.altKey && press(e.key)) e.preventDefault();
				}}
			>
				<canvas ref={base} />
				<canvas ref={over} />
				<canvas ref={above} />
			</div>
			{children}
			<div class="zoom">
				<button type="button" aria-label="Zoom in" onClick={() => press("+")}>
					+
				</button>
				<button type="button" aria-label="Zoom out" onClick={() => press("-")}>
					−
				</button>
				<button type="button" aria-label="Show all" title="Show all" onClick={() => press("0")}>
					<svg viewBox="0 0 16 16" aria-hidden="true">
						<path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" fill="none" stroke="currentColor" stroke-width="1.6" />
					</svg>
				</button>
			</div>
			<div class="scalebar" aria-hidden="true" style={{ width: `${scaleBar / perPixel}px` }}>
				{scaleBar >= 1000 ? `${scaleBar / 1000} km` : `${scaleBar} m`}
			</div>
			{hovered && <Tip network={network} measure={measure} interval={interval} at={hovered} right={hovered.x > camera.width / 2} />}
		</div>
	);
}

function edgeAt(camera: Camera, network: Network, x: number, y: number): number | undefined {
	const [px, py] = camera.place(x, y);
	return network.nearest(px, py, reach / camera.scale);
}

function roundBelow(value: number): number {
	const power = 10 ** Math.floor(Math.log10(value));
	return [5, 2, 1].map((f) => f * power).find((v) => v <= value) ?? power;
}

function Tip({ network, measure, interval, at, right }: { network: Network; measure: Measure; interval: number; at: { edge: number; x: number; y: number }; right: boolean }) {
	const e = network.edges[at.edge]!;
	const value = measure.values(interval)[at.edge];
	return (
		<div class={right ? "tip left" : "tip"} style={{ left: `${at.x}px`, top: `${at.y}px` }}>
			<strong>{e.name || e.id}</strong>
			<span hidden={measure === plain}>
				{measure.label}: {value == null ? "no value" : `${number(value)} ${measure.unit}`}
			</span>
			<span class="muted">
				{plural(e.lanes, "lane")}, limit {number(e.speed * 3.6)} km/h
			</span>
		</div>
	);
}

/** Moves the camera by pointer: one drags, two pinch, the wheel zooms. */
function usePointers(frame: { current: HTMLDivElement | null }, camera: Camera, on: { moved: () => void; hover: (x: number, y: number) => void; press: (x: number, y: number) => void }): void {
	const latest = useRef(on);
	latest.current = on;
	useEffect(() => {
		const box = frame.current!;
		const down = new Map<number, { x: number; y: number }>();
		let travelled = 0;
		const at = (e: MouseEvent) => {
			const b = box.getBoundingClientRect();
			return { x: e.clientX - b.left, y: e.clientY - b.top };
		};
		const spread = () => {
			const [a, b] = [...down.values()];
			return a && b ? { gap: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } : undefined;
		};
		const stop = new AbortController();
		const listen = <K extends keyof HTMLElementEventMap>(kind: K, handle: (e: HTMLElementEventMap[K]) => void) => box.addEventListener(kind, handle, { signal: stop.signal, passive: false });
		listen("pointerdown", (e) => {
			if (e.button !== 0) return;
			box.setPointerCapture(e.pointerId);
			down.set(e.pointerId, at(e));
			travelled = 0;
		});
		listen("pointermove", (e) => {
			const now = at(e);
			const before = down.get(e.pointerId);
			if (!before) return latest.current.hover(now.x, now.y);
			const pinch = spread();
			down.set(e.pointerId, now);
			const pinched = spread();
			if (pinch && pinched) {
				camera.zoom(pinched.gap / Math.max(1, pinch.gap), pinched.x, pinched.y);
				camera.pan(pinched.x - pinch.x, pinched.y - pinch.y);
			} else camera.pan(now.x - before.x, now.y - before.y);
			travelled += Math.hypot(now.x - before.x, now.y - before.y);
			latest.current.moved();
		});
		const up = (e: PointerEvent) => {
			if (!down.delete(e.pointerId) || e.type !== "pointerup" || travelled > 4) return;
			const { x, y } = at(e);
			latest.current.press(x, y);
		};
		listen("pointerup", up);
		listen("pointercancel", up);
		listen("pointerleave", () => latest.current.hover(-1e6, -1e6));
		listen("wheel", (e) => {
			e.preventDefault();
			const { x, y } = at(e);
			// A notch of a wheel is 100 pixels or 3 lines; a touch pad sends many small steps.
			const pixels = e.deltaMode === 1 ? e.deltaY * 33 : e.deltaY;
			camera.zoom(Math.exp(-pixels * 0.002), x, y);
			latest.current.moved();
		});
		listen("dblclick", (e) => {
			const { x, y } = at(e);
			camera.zoom(2, x, y);
			latest.current.moved();
		});
		return () => stop.abort();
	}, [camera]);
}

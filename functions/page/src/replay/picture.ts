// Pictures and videos of what the maps show, with what a report has to say about them.
import type { Clock } from "./clock";
import type { ReplayLayer } from "./layer";

export type Shown = { title: string; surface: HTMLElement; layer: ReplayLayer | undefined };
export type Caption = { time: string; legend: { name: string; colours: string[]; ends: [string, string] } | { name: string; entries: [string, string][] } | undefined };
export type Ground = { surface: string; map: string; text: string; muted: string };

const bar = 30; // pixels below the maps
const gap = 6;

/** Draws the maps beside each other on a canvas of `ratio` pixels for each of the page. */
export function compose(to: HTMLCanvasElement, shown: Shown[], caption: Caption, ground: Ground, ratio: number): void {
	const boxes = shown.map((s) => ({ width: s.surface.clientWidth, height: s.surface.clientHeight }));
	const even = (v: number) => 2 * Math.round((v * ratio) / 2); // video encoders want even sizes
	const width = even(boxes.reduce((sum, b) => sum + b.width, 0) + gap * (boxes.length - 1));
	const height = even(Math.max(...boxes.map((b) => b.height)) + bar);
	if (to.width !== width || to.height !== height) [to.width, to.height] = [width, height];
	const ctx = to.getContext("2d")!;
	ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
	ctx.fillStyle = ground.surface;
	ctx.fillRect(0, 0, width, height);
	let left = 0;
	shown.forEach(({ surface, layer, title }, i) => {
		const box = boxes[i]!;
		ctx.save();
		ctx.beginPath();
		ctx.rect(left, 0, box.width, box.height);
		ctx.clip();
		ctx.fillStyle = ground.map;
		ctx.fillRect(left, 0, box.width, box.height);
		layer?.again(); // a WebGL canvas can be copied only before the browser shows it
		for (const canvas of surface.querySelectorAll("canvas")) {
			if (canvas.width === 0) continue;
			ctx.save();
			ctx.translate(left, 0);
			const moved = new DOMMatrix(canvas.style.transform || "none");
			ctx.transform(moved.a, moved.b, moved.c, moved.d, moved.e, moved.f);
			ctx.drawImage(canvas, 0, 0, box.width, box.height);
			ctx.restore();
		}
		ctx.restore();
		ctx.fillStyle = ground.text;
		ctx.font = "600 13px system-ui, sans-serif";
		ctx.textBaseline = "middle";
		ctx.textAlign = "left";
		ctx.fillText(title, left + 10, box.height + bar / 2, box.width / 2);
		left += box.width + gap;
	});
	const middle = height / ratio - bar / 2;
	const right = width / ratio - 10;
	ctx.textAlign = "right";
	ctx.fillText(caption.time, right, middle);
	if (caption.legend) drawLegend(ctx, caption.legend, right - 70, middle, ground);
}

function drawLegend(ctx: CanvasRenderingContext2D, legend: NonNullable<Caption["legend"]>, right: number, middle: number, ground: Ground): void {
	ctx.font = "12px system-ui, sans-serif";
	let x = right;
	const word = (text: string) => {
		ctx.fillStyle = ground.muted;
		ctx.fillText(text, x, middle);
		x -= ctx.measureText(text).width + 6;
	};
	if ("entries" in legend) {
		for (const [name, colour] of [...legend.entries].reverse()) {
			word(name);
			ctx.fillStyle = colour;
			ctx.fillRect(x - 10, middle - 5, 10, 10);
			x -= 22;
		}
		return;
	}
	word(legend.ends[1]);
	const each = 90 / legend.colours.length;
	x -= 90;
	legend.colours.forEach((c, i) => {
		ctx.fillStyle = c;
		ctx.fillRect(x + i * each, middle - 5, each + 0.5, 10);
	});
	x -= 6;
	word(legend.ends[0]);
	word(legend.name);
}

export const pngOf = (canvas: HTMLCanvasElement): Promise<Blob> =>
	new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser made no picture"))), "image/png"));

export function save(content: Blob, name: string): void {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(content);
	link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, "-");
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // long after the browser has started reading it
}

const kinds = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
export const videoKind = (): string | undefined => (typeof MediaRecorder === "undefined" ? undefined : kinds.find((k) => MediaRecorder.isTypeSupported(k)));

const framesPerSecond = 30;

/** Plays a span of time and records it as it is drawn. It takes the span's time divided by the clock's rate. */
export async function record(clock: Clock, from: number, to: number, painted: () => Promise<unknown>, draw: (canvas: HTMLCanvasElement) => void, progress: (share: number) => void, signal: AbortSignal): Promise<Blob> {
	const canvas = document.createElement("canvas");
	clock.pause();
	clock.seek(from);
	while (!clock.ready(from) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 30));
	await new Promise(requestAnimationFrame);
	await painted();
	draw(canvas);
	const stream = canvas.captureStream(framesPerSecond);
	const recorder = new MediaRecorder(stream, { mimeType: videoKind(), videoBitsPerSecond: 6_000_000 });
	const parts: Blob[] = [];
	recorder.ondataavailable = (e) => parts.push(e.data);
	const ended = new Promise((resolve) => (recorder.onstop = resolve));
	recorder.start(1000);
	try {
		await new Promise<void>((resolve, reject) => {
			const stop = () => {
				clock.watchers.delete(watch);
				resolve();
			};
			const watch = (time: number) => {
				draw(canvas);
				progress(Math.min(1, (time - from) / Math.max(1e-9, to - from)));
				if (time >= to || signal.aborted || !clock.playing.value) stop();
			};
			clock.watchers.add(watch);
			signal.addEventListener("abort", stop);
			recorder.onerror = () => {
				clock.watchers.delete(watch);
				reject(new Error("the browser could not record"));
			};
			clock.play();
		});
	} finally {
		clock.pause();
		await new Promise((resolve) => setTimeout(resolve, 2000 / framesPerSecond)); // the last picture
		if (recorder.state !== "inactive") recorder.stop();
		await ended;
		stream.getTracks().forEach((t) => t.stop());
	}
	return new Blob(parts, { type: "video/webm" });
}

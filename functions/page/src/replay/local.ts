// A painter of the moving layer in the thread that asks for it.
import { CanvasPainter } from "./canvas";
import type { Things } from "./scene";
import { WebGLPainter } from "./webgl";

export type Kind = "webgl" | "canvas";
/** Things with how far they are on their way to the next frame. A version says whether they have changed. */
export type Drawn = { of: Things; share: number; version: number; vehicles?: boolean };

export function localPainter(canvas: HTMLCanvasElement | OffscreenCanvas, kind: Kind): WebGLPainter | CanvasPainter {
	try {
		if (kind === "webgl") return new WebGLPainter(canvas);
	} catch {
		// A card that cannot draw is as none.
	}
	return new CanvasPainter(canvas);
}

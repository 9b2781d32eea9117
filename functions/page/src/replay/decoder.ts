// Has segments read by a worker.
import { Broken, type Segment } from "./segment";
import type { Answered, Asked } from "./worker";

declare const WORKER: string; // its address: build.mjs sets it

export class Decoder {
	private readonly worker = new Worker(WORKER, { type: "module" });
	private readonly waiting = new Map<number, { resolve: (s: Segment) => void; reject: (error: Error) => void }>();
	private asked = 0;

	constructor() {
		this.worker.onmessage = ({ data }: MessageEvent<Answered>) => {
			const one = this.waiting.get(data.number);
			this.waiting.delete(data.number);
			if (data.segment) one?.resolve(data.segment);
			else one?.reject(new Broken(data.broken));
		};
		this.worker.onerror = (e) => {
			for (const one of this.waiting.values()) one.reject(new Broken(`reading it failed: ${e.message || "out of memory"}`));
			this.waiting.clear();
		};
	}

	decode(bytes: ArrayBuffer): Promise<Segment> {
		return new Promise((resolve, reject) => {
			const number = this.asked++;
			this.waiting.set(number, { resolve, reject });
			this.worker.postMessage({ number, bytes } satisfies Asked, [bytes]);
		});
	}
}

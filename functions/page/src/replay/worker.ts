// Reads segments beside the page, so that it stays responsive.
import { Broken, buffersOf, decode, type Segment } from "./segment";

export type Asked = { number: number; bytes: ArrayBuffer };
export type Answered = { number: number; segment?: Segment; broken?: string };

onmessage = async ({ data: { number, bytes } }: MessageEvent<Asked>) => {
	try {
		const segment = await decode(new Uint8Array(bytes));
		postMessage({ number, segment } satisfies Answered, { transfer: buffersOf(segment) });
	} catch (error) {
		if (!(error instanceof Broken)) throw error; // the page hears of it as an error of the worker
		postMessage({ number, broken: error.message } satisfies Answered);
	}
};

// Loads data for a view: once, then at intervals while the page is visible.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { call, Problem, randomKey } from "./api";

export type Loaded<T> = {
	data: T | undefined; // the latest; a later failure keeps it
	problem: Problem | undefined;
	loading: boolean; // nothing has arrived yet
	reload: () => void;
};

/**
 * Calls load when key changes and, while `every` returns milliseconds for the latest data, or a promise of when there is more, again after
 * each such pause. A hidden page waits until it is visible.
 */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every?: (data: T | undefined) => number | Promise<void> | undefined): Loaded<T> {
	const [state, setState] = useState<{ key: string; data?: T; problem?: Problem }>({ key });
	const [round, setRound] = useState(0);
	const latest = useRef({ load, every });
	latest.current = { load, every };

	useEffect(() => {
		const stop = new AbortController();
		let timer = 0;
		const again = (after: number | Promise<void> | undefined) => {
			if (after === undefined || stop.signal.aborted) return;
			const due = () => {
				if (stop.signal.aborted) return;
				if (!document.hidden) return void once();
				document.addEventListener("visibilitychange", () => void once(), { once: true, signal: stop.signal });
			};
			if (typeof after === "number") timer = window.setTimeout(due, after);
			else void after.then(due);
		};
		const once = async () => {
			try {
				const data = await latest.current.load(stop.signal);
				if (stop.signal.aborted) return;
				setState({ key, data });
				again(latest.current.every?.(data));
			} catch (error) {
				if (stop.signal.aborted) return;
				const problem = asProblem(error);
				setState((before) => ({ key, data: before.key === key ? before.data : undefined, problem }));
				const usual = latest.current.every?.(undefined);
				if (typeof usual === "number" && isPassing(problem)) again(Math.max(usual, problem.retryAfter * 1000));
			}
		};
		void once();
		return () => {
			stop.abort();
			clearTimeout(timer);
		};
	}, [key, round]);

	const reload = useCallback(() => setRound((n) => n + 1), []);
	const mine = state.key === key;
	return { data: mine ? state.data : undefined, problem: mine ? state.problem : undefined, loading: !mine || (!state.data && !state.problem), reload };
}

const pageSize = 50;
const mostAtOnce = 200; // the service's limit

type Listed<Item> = { items: Item[]; more: boolean };

/**
 * A list that the service pages, newest first, of which showMore shows more. At each interval all that is shown is read again: new items
 * move others to the next page, and items of any page change or are deleted.
 */
export function usePages<Page extends { next_cursor: string }, Item>(
	path: string,
	filter: Record<string, string>,
	itemsOf: (page: Page) => Item[],
	every?: (items: Item[] | undefined) => number | undefined,
): Loaded<Listed<Item>> & { showMore: () => Promise<void> } {
	const address = `${path}?${new URLSearchParams(Object.entries(filter).filter(([, value]) => value))}`;
	const wanted = useRef({ address, count: pageSize });
	if (wanted.current.address !== address) wanted.current = { address, count: pageSize };
	const read = async (signal: AbortSignal): Promise<Listed<Item>> => {
		const { count } = wanted.current;
		const items: Item[] = [];
		let cursor = "";
		do {
			const part = new URLSearchParams({ limit: String(Math.min(mostAtOnce, count - items.length)), ...(cursor && { cursor }) });
			const page = await call<Page>(`${address}&${part}`, { signal });
			items.push(...itemsOf(page));
			cursor = page.next_cursor;
		} while (cursor && items.length < count);
		return { items, more: cursor !== "" };
	};
	const loaded = useLoad(address, read, every && ((listed) => every(listed?.items)));
	const showMore = async () => {
		wanted.current.count += pageSize;
		loaded.reload();
	};
	return { ...loaded, showMore };
}

/** Whether the same request may succeed later. */
export const isPassing = (p: Problem): boolean => p.status === 0 || p.status === 429 || p.status >= 500;

export function asProblem(error: unknown): Problem {
	if (error instanceof Problem) return error;
	console.error(error); // a bug in this page
	return new Problem(0, "page", "The page failed", "Something went wrong in this page. Reload it; if it happens again, tell the operator what you did.");
}

/** One idempotency key per intention: sending the same again after a broken connection makes no second thing. */
export function useIntention(): (content: string) => string {
	const kept = useRef({ of: "", key: "" });
	return (content) => {
		if (kept.current.of !== content) kept.current = { of: content, key: randomKey() };
		return kept.current.key;
	};
}

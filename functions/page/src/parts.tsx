// Components that the views share.
import { signal } from "@preact/signals";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Fault, Problem, type State } from "./api";
import { dateTime, duration, percent, utc } from "./format";
import { asProblem } from "./load";

/** Whether a view was shown before: the first leaves the focus where the browser put it. */
let arrived = false;

/** The title of a view. It takes the focus when the view opens, so that screen readers announce it. */
export function Title({ children, beside }: { children: ComponentChildren; beside?: ComponentChildren }) {
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => {
		document.title = `${heading.current?.textContent ?? ""} – SUMO-K8`;
	});
	useLayoutEffect(() => {
		if (arrived) heading.current?.focus({ preventScroll: true });
		arrived = true;
	}, []);
	return (
		<div class="title">
			<h1 ref={heading} tabIndex={-1}>
				{children}
			</h1>
			{beside}
		</div>
	);
}

export function Card({ title, beside, children, id }: { title?: ComponentChildren; beside?: ComponentChildren; children: ComponentChildren; id?: string }) {
	return (
		<section class="card" id={id}>
			{(title || beside) && (
				<header>
					{title && <h2>{title}</h2>}
					{beside && <div class="beside">{beside}</div>}
				</header>
			)}
			{children}
		</section>
	);
}

/** Content that may be wider than the screen; the keyboard scrolls it when it is. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
	const box = useRef<HTMLDivElement>(null);
	const [wide, setWide] = useState(false);
	useEffect(() => {
		const resized = new ResizeObserver(() => setWide(box.current !== null && box.current.scrollWidth > box.current.clientWidth));
		resized.observe(box.current!);
		return () => resized.disconnect();
	}, []);
	return (
		<div class="scroll" ref={box} {...(wide && { tabIndex: 0, role: "region", "aria-label": label })}>
			{children}
		</div>
	);
}

export function Empty({ children }: { children: ComponentChildren }) {
	return <div class="empty">{children}</div>;
}

export function Loading({ what }: { what: string }) {
	return (
		<div class="empty loading" role="status">
			<span class="spinner" aria-hidden="true" /> Loading {what}…
		</div>
	);
}

/** A problem that the service reported, with all its faults. */
export function ProblemNotice({ problem, retry }: { problem: Problem; retry?: () => void }) {
	return (
		<div class="notice bad" role="alert">
			<p>
				<strong>{problem.title || "Error"}.</strong> {problem.message}
			</p>
			{problem.faults.length > 0 && <Faults faults={problem.faults} />}
			{problem.status >= 500 && problem.requestId && (
				<p class="small muted">
					Request <code>{problem.requestId}</code>
				</p>
			)}
			{retry && (
				<button type="button" onClick={retry}>
					Try again
				</button>
			)}
		</div>
	);
}

/** A list of faults; those for which link returns an address lead there. */
export function Faults({ faults, link }: { faults: Fault[]; link?: (message: string) => string | undefined }) {
	return (
		<ul class="faults">
			{faults.map((f, i) => {
				const to = link?.(f.message);
				return (
					<li key={i}>
						{f.location && <code>{f.location.replace(/^(body|query|path)\./, "")}</code>} {to ? <a href={to}>{f.message}</a> : f.message}
					</li>
				);
			})}
		</ul>
	);
}

const stateWords: Record<State, string> = {
	QUEUED: "Queued",
	PENDING: "Starting",
	RUNNING: "Running",
	SUCCEEDED: "Succeeded",
	FAILED: "Failed",
	CANCELLED: "Cancelled",
};

export const stateWord = (state: State): string => stateWords[state] ?? state;

export function StatePill({ state, reason }: { state: State; reason?: string }) {
	return (
		<span class={`pill ${state.toLowerCase()}`} title={reason ? `${state}: ${reason}` : state}>
			{stateWord(state)}
		</span>
	);
}

export function Progress({ share, label }: { share: number; label: string }) {
	return (
		<span class="progress">
			<progress max={1} value={share} aria-label={label} />
			<span class="figure">{percent(Math.floor(share * 100) / 100)}</span>
		</span>
	);
}

/** A moment in the reader's own zone, with UTC in the tooltip. */
export function Time({ at }: { at: string | null | undefined }) {
	if (!at) return <>–</>;
	const date = new Date(at);
	return (
		<time dateTime={at} title={utc(date)}>
			{dateTime(date)}
		</time>
	);
}

/** How long something takes or took; it counts up until there is an end. */
export function Elapsed({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
	const [, tick] = useState(0);
	const running = Boolean(from && !to);
	useEffect(() => {
		if (!running) return;
		const timer = setInterval(() => tick((n) => n + 1), 1000);
		return () => clearInterval(timer);
	}, [running]);
	if (!from) return <>–</>;
	return <>{duration((to ? Date.parse(to) : Date.now()) / 1000 - Date.parse(from) / 1000)}</>;
}

/** A bar that shows a share of a limit. Native meters cannot be styled alike across browsers. */
export function Bar({ label, value, limit }: { label: string; value: number; limit: number }) {
	return (
		<div class="bar" role="meter" aria-label={label} aria-valuemin={0} aria-valuenow={value} aria-valuemax={limit}>
			<div style={{ width: `${limit > 0 ? Math.min(100, (100 * value) / limit) : 0}%` }} />
		</div>
	);
}

/** A gauge of usage against a limit. */
export function Meter({ label, used, limit, unit = "" }: { label: string; used: number; limit: number; unit?: string }) {
	return (
		<div class="meter">
			<span class="label">{label}</span>
			<span class="figure">
				<strong>{used}</strong> of {limit}
				{unit && ` ${unit}`}
			</span>
			<Bar label={label} value={used} limit={limit} />
		</div>
	);
}

export function Tile({ label, children, tone }: { label: string; children: ComponentChildren; tone?: "good" | "bad" }) {
	return (
		<div class={`tile ${tone ?? ""}`}>
			<span class="label">{label}</span>
			<span class="value">{children}</span>
		</div>
	);
}

/** A labelled input with its hint and, when the service rejects it, the reason. */
export function Field({ label, hint, fault, children }: { label: string; hint?: ComponentChildren; fault?: string; children: (props: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren }) {
	const id = useId();
	const described = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ");
	return (
		<div class={fault ? "field faulty" : "field"}>
			<label for={id}>{label}</label>
			{children({ id, ...(described && { "aria-describedby": described }), ...(fault && { "aria-invalid": true }) })}
			{hint && (
				<span class="hint" id={`${id}-hint`}>
					{hint}
				</span>
			)}
			{fault && (
				<span class="fault" id={`${id}-fault`}>
					{fault}
				</span>
			)}
		</div>
	);
}

/** What just happened, announced once to screen readers and shown for a moment. */
const announcement = signal<{ text: string; bad: boolean } | null>(null);
let removal = 0;

export function announce(text: string, bad = false): void {
	announcement.value = { text, bad };
	clearTimeout(removal);
	removal = window.setTimeout(() => (announcement.value = null), bad ? 12_000 : 5000);
}

export function Announcer() {
	return (
		<div class="announcer" role="status" aria-live="polite">
			{announcement.value && <div class={announcement.value.bad ? "toast bad" : "toast"}>{announcement.value.text}</div>}
		</div>
	);
}

/** Shows a failure: as an announcement, or inside the open dialog, which covers the page. */
const Failed = createContext((p: Problem) => announce(p.message, true));

/** A button that runs act: it is disabled meanwhile, and shows a failure. */
export function Action({ act, children, kind, label, disabled }: {
	act: () => Promise<void>;
	children: ComponentChildren;
	kind?: "primary" | "danger" | "quiet";
	label?: string; // for children that are unclear by themselves
	disabled?: boolean;
}) {
	const [busy, setBusy] = useState(false);
	const failed = useContext(Failed);
	const run = async () => {
		setBusy(true);
		try {
			await act();
		} catch (error) {
			failed(asProblem(error));
		}
		setBusy(false);
	};
	return (
		<button type="button" class={kind} title={label} aria-label={label} disabled={disabled || busy} aria-busy={busy} onClick={() => void run()}>
			{children}
		</button>
	);
}

/** A modal question or form. The browser keeps the focus inside and closes it on Escape. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
	const dialog = useRef<HTMLDialogElement>(null);
	const [problem, setProblem] = useState<Problem>();
	const id = useId();
	useEffect(() => {
		dialog.current?.showModal();
	}, []);
	return (
		<dialog ref={dialog} aria-labelledby={id} onClose={close} onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
			<div class="sheet">
				<h2 id={id}>{title}</h2>
				<Failed.Provider value={setProblem}>{children}</Failed.Provider>
				{problem && <ProblemNotice problem={problem} />}
			</div>
		</dialog>
	);
}

/** Copies text, or what now returns when it is pressed. */
export function Copy({ text, what, word = "Copy", now }: { text: string; what: string; word?: string; now?: () => string }) {
	if (!navigator.clipboard) return null; // browsers offer it on secure pages only
	return (
		<Action
			kind="quiet"
			label={word === "Copy" ? `Copy ${what}` : undefined}
			act={async () => {
				await navigator.clipboard.writeText(now?.() ?? text);
				announce(`Copied ${what}.`);
			}}
		>
			{word}
		</Action>
	);
}

/** The views of one thing, each with its own address. */
export function Tabs({ label, at, tabs }: { label: string; at: string; tabs: { name: string; href: string; title: ComponentChildren }[] }) {
	const nav = useRef<HTMLElement>(null);
	// A narrow screen cuts tabs off. scrollIntoView would also make the next press of Tab start after the tab.
	useEffect(() => {
		const bar = nav.current!.getBoundingClientRect();
		const tab = nav.current!.querySelector("[aria-current]")?.getBoundingClientRect();
		if (tab) nav.current!.scrollLeft += Math.min(0, tab.left - bar.left) + Math.max(0, tab.right - bar.right);
	}, [at]);
	return (
		<nav class="tabs" aria-label={label} ref={nav}>
			{tabs.map((t) => (
				<a key={t.name} href={t.href} aria-current={t.name === at ? "page" : undefined}>
					{t.title}
				</a>
			))}
		</nav>
	);
}

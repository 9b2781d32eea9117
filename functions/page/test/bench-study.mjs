// Measures the page of a study with 200 points × 10 runs: how long until the first numbers, and how much of the main
// thread's time each update takes. The answers are synthetic, so that the figures are those of the page.
import { looks, openTab, startBrowser } from "./browser.mjs";
import { startService } from "./service.mjs";

const points = 200;
const seeds = 10;
const updates = 40;
const metric = "mean_time_loss";
const id = "00000000-0000-7000-8000-000000000200";

/** What has become of a point's runs when so many have ended. */
const runsOf = (done) => ({ done, succeeded: done - (done > 8 ? 1 : 0), failed: done > 8 ? 1 : 0, cancelled: 0, active: done < seeds ? 1 : 0, running: done < seeds ? 1 : 0 });

const variants = ["base", "green wave"];
const demands = Array.from({ length: 20 }, (_, i) => 0.5 + i * 0.05);
const waits = [60, 120, 180, 300, -1];
const settings = variants.flatMap((variant) => demands.flatMap((demand) => waits.map((wait) => ({ variant, setting: { demand, wait } }))));

/** The study when each point has so many runs that ended. */
function studyAt(done) {
	const counts = { done: 0, succeeded: 0, failed: 0, cancelled: 0, active: 0, running: 0 };
	for (let i = 0; i < points; i++) for (const [name, n] of Object.entries(runsOf(done(i)))) counts[name] += n;
	return {
		study_id: id, name: "200 points", status: "RUNNING", message: "", runs: { planned: points * seeds, ...counts }, core_seconds: 0, priority: "normal", labels: {},
		max_parallel: 50, cancel_requested: false, created_at: "2026-01-01T00:00:00Z", started_at: "2026-01-01T00:00:00Z", finished_at: null, updated_at: null,
		plan: {
			variants: variants.map((name) => ({ name, scenario: "a".repeat(64) })), metrics: [metric], replications: { seeds: `1:${seeds}` },
			axes: [{ name: "demand", set: "scale", values: demands }, { name: "wait", set: "option:time-to-teleport", values: waits }],
		},
		most_runs: points * seeds, seeds: Array.from({ length: seeds }, (_, i) => i + 1), metrics: [metric], estimate: null, remaining: null, eta: null,
		points: settings.map((s, point) => ({
			point, ...s, scenario: "a".repeat(64), config_file: "a.sumocfg", sumo_version: "1.28", cpu_request: 1, memory_gi: 1, warnings: [], core_seconds: null, needed: seeds,
			runs: runsOf(done(point)),
		})),
	};
}

function statisticsAt(done, round) {
	const numbers = (point) => {
		const n = runsOf(done(point)).succeeded;
		const mean = 40 + point / 4 + Math.sin(point + round / 3);
		const half = n > 1 ? 9 / Math.sqrt(n) : null;
		return {
			point, metric, n, mean, sd: 3, standard_error: 1, low: half && mean - half, high: half && mean + half, half_width: half, relative_half_width: half && half / mean,
			needed: 12, min: mean - 5, q1: mean - 2, median: mean, q3: mean + 2, max: mean + 5, constant: false,
		};
	};
	return {
		study_id: id, status: "RUNNING", confidence: 0.95, metrics: [{ name: metric, unit: "s", better: "lower" }], notes: ["A note."],
		points: settings.map((s, point) => ({
			point, label: `${s.variant} ${point}`, ...s, succeeded: runsOf(done(point)).succeeded, missing: runsOf(done(point)).failed, open: 0, incomplete: done(point) > 8,
			reasons: {}, teleports: 0.4, unfinished_trips: 3, sumo_versions: ["1.28.0"],
		})),
		statistics: settings.map((_, point) => numbers(point)),
	};
}

/** The processor time of the page's main thread so far, in milliseconds: all of it, and its larger parts. */
async function watch(page) {
	const chromium = await page.context().newCDPSession(page);
	await chromium.send("Performance.enable", { timeDomain: "threadTicks" });
	return async () => {
		const { metrics } = await chromium.send("Performance.getMetrics");
		const of = (name) => 1000 * metrics.find((m) => m.name === name).value;
		return { all: of("TaskDuration"), script: of("ScriptDuration"), style: of("RecalcStyleDuration"), layout: of("LayoutDuration") };
	};
}

const service = await startService();
const browser = await startBrowser();
try {
	const tenant = await service.register("bench");
	const tab = await openTab(browser, service, looks.light);
	const { page } = tab;
	let round = 0;
	const done = (point) => Math.min(seeds, 5 + Math.floor((round + (point % 10)) / 10));
	// One stream whose chunks the bench hands out: the page's fetch of it is answered by a stream of the page's own.
	await page.addInitScript((id) => {
		const real = globalThis.fetch;
		globalThis.fetch = (path, init) => {
			if (!String(path).endsWith(`/studies/${id}/events`)) return real(path, init);
			const body = new ReadableStream({ start: (c) => (globalThis.sendEvent = (text) => c.enqueue(new TextEncoder().encode(text))) });
			return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
		};
	}, id);
	const answer = (route, json) => route.fulfill({ json });
	await page.route(`**/studies/${id}`, (route) => answer(route, studyAt(done)));
	await page.route(`**/studies/${id}/statistics?*`, (route) => answer(route, statisticsAt(done, round)));
	await tab.signIn(tenant.key);

	const times = [];
	for (let i = 0; i < 5; i++) {
		await tab.go("#/studies");
		await page.getByRole("heading", { level: 1, name: "Studies" }).waitFor();
		const opened = await page.evaluate((hash) => {
			const began = performance.now();
			location.hash = hash;
			return new Promise((resolve) => {
				const look = () => (document.querySelector(".interval .mean") ? resolve(performance.now() - began) : requestAnimationFrame(look));
				look();
			});
		}, `#/studies/${id}`);
		times.push(opened);
		await page.locator(".point").nth(points - 1).waitFor();
	}
	times.sort((a, b) => a - b);
	console.log(`BenchmarkStudyPage/first-numbers\t${times.length}\t${times[2].toFixed(0)} median-ms\t${times.at(-1).toFixed(0)} max-ms`);

	const spent = await watch(page);
	const busy = { counts: [], numbers: [] };
	const drawn = (pause) => page.evaluate((pause) => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), pause)), pause);
	/** What act costs the main thread until it is drawn. */
	const measure = async (act, pause) => {
		const before = await spent();
		await act();
		await drawn(pause);
		const after = await spent();
		return Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
	};
	for (round = 1; round <= updates; round++) {
		const now = studyAt(done);
		const changed = now.points.filter((p) => p.point % 10 === 10 - (round % 10) || p.point % 7 === 0).map((p) => ({ point: p.point, ...p.runs, active: round % 3, running: round % 3 }));
		const text = `id: ${round}\nevent: progress\ndata: ${JSON.stringify({ status: "RUNNING", message: "", runs: now.runs, eta: null, points: changed })}\n\n`;
		const numbers = page.waitForResponse(/statistics/, { timeout: 5000 }).catch(() => undefined);
		busy.counts.push(await measure(() => page.evaluate((text) => globalThis.sendEvent(text), text), 0));
		busy.numbers.push(await measure(() => numbers, 100));
	}
	for (const [name, list] of Object.entries(busy)) {
		const sorted = list.sort((a, b) => a.all - b.all);
		const median = sorted[Math.floor(sorted.length / 2)];
		const parts = ["script", "style", "layout"].map((part) => `${part} ${median[part].toFixed(1)}`).join(", ");
		console.log(`BenchmarkStudyPage/update-${name}\t${sorted.length}\t${median.all.toFixed(1)} median-ms\t${sorted.at(-1).all.toFixed(1)} max-ms\t# of the median: ${parts}`);
	}
	await tab.stop();
} finally {
	await browser.close();
	await service.stop();
}

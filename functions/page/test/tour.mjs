// Takes the pictures of docs/tour.md: real runs on the real page.
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { animation } from "./animation.mjs";
import { looks, openTab, startBrowser } from "./browser.mjs";
import { eventually, network, root, startService } from "./service.mjs";

const folder = join(root, "docs", "tour");
const maxBytes = 150_000; // keeps the tour quick to open
const maxMoving = 1_500_000;
const wide = { viewport: { width: 1200, height: 800 } };

const service = await startService({ WEBHOOK_HTTP: "true", WEBHOOK_ALLOW: "localhost" });
const browser = await startBrowser();

/** A receiver of webhooks, one path of which is out of order. */
const receiver = createServer((request, answer) => {
	request.resume();
	answer.writeHead(request.url === "/archive" ? 503 : 204).end();
});
await new Promise((resolve) => receiver.listen(0, "localhost", resolve));
const receiving = `http://localhost:${receiver.address().port}`;

async function take(page, name) {
	await page.evaluate(() => document.activeElement?.blur());
	await page.mouse.move(0, 0);
	await page.waitForLoadState("networkidle").catch(() => undefined); // a live page never is
	const chromium = await page.context().newCDPSession(page);
	const { data } = await chromium.send("Page.captureScreenshot", { format: "webp", quality: 82 });
	write(name, Buffer.from(data, "base64"), maxBytes);
}

function write(name, picture, most) {
	if (picture.length > most) throw new Error(`${name} has ${picture.length} bytes, more than ${most}`);
	writeFileSync(join(folder, `${name}.webp`), picture);
	console.log(`docs/tour/${name}.webp  ${picture.length} bytes`);
}

/** The map and its player while simulated time goes on: a picture each step, whatever the machine takes to draw it. */
async function takeMoving(page, name, { from, to, step, each }) {
	const panes = page.locator(".panes");
	await panes.evaluate((e) => scrollTo(0, e.getBoundingClientRect().top + scrollY - 12));
	const box = await panes.boundingBox();
	const clip = { x: Math.floor(box.x), y: Math.floor(box.y), width: 2 * Math.ceil(box.width / 2), height: 2 * Math.ceil(box.height / 2), scale: 1 };
	const top = await page.evaluate(() => scrollY);
	const chromium = await page.context().newCDPSession(page);
	const pictures = [];
	for (let time = from; time < to; time += step) {
		await page.getByLabel("Simulated time").evaluate((slider, t) => {
			slider.step = "any"; // also between two recorded moments
			slider.value = t;
			slider.dispatchEvent(new Event("input", { bubbles: true }));
		}, time);
		await page.locator(`output[title="${time.toLocaleString("en-GB")} s of simulated time"]`).waitFor();
		await page.locator(".says", { hasText: /Vehicles: [\d,]+ on the road/ }).waitFor();
		await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
		const { data } = await chromium.send("Page.captureScreenshot", { format: "webp", quality: 55, clip: { ...clip, y: clip.y + top } });
		pictures.push(Buffer.from(data, "base64"));
	}
	write(name, animation(pictures, clip, each), maxMoving);
}

async function withTab(who, look, use) {
	const tab = await openTab(browser, service, { ...wide, ...look });
	await tab.signIn(who.key, who.kind);
	await use(tab.page, tab.go);
	await tab.stop();
}

const below = (page, selector) => page.locator(selector).first().evaluate((e) => scrollTo(0, e.getBoundingClientRect().top + scrollY - 12));

async function plotted(page) {
	await page.getByRole("img", { name: /^Mean speed over/ }).waitFor();
	await page.getByRole("img", { name: /^Time loss/ }).waitFor();
}

try {
	mkdirSync(folder, { recursive: true });
	const tenant = await service.register("north-study", { max_concurrent_jobs: 2, max_cpu: 8, max_memory_gi: 16 });
	const labels = '{"study": "north"}';
	const hook = (path, fields) => service.call("POST", "/webhooks", { key: tenant.key, json: { url: receiving + path, labels: JSON.parse(labels), ...fields } });
	await hook("/planning", {});
	await hook("/archive", { events: ["job.finished"], format: "cloudevents" });
	await hook("/display", { events: ["job.running", "job.progress"], enabled: false });
	const outputs = "edgedata,fcd,emission";
	const [base, more, grid, recorded] = [
		await service.submit(tenant, "corridor", { outputs, seed: "1", labels }),
		await service.submit(tenant, "corridor", { outputs, seed: "1", scale: "1.25" }),
		await service.submit(tenant, "grid", { outputs: "edgedata,fcd" }),
		await service.submit(tenant, "corridor", { seed: "1", end: "1500", replay: "true" }),
	].map((j) => j.job_id);
	for (const id of [base, more, grid, recorded]) await service.finish(tenant, id);
	const plans = await service.store(tenant, "corridor");
	const study = await service.study(tenant, {
		name: "demand on the corridor",
		variants: [{ name: "base", scenario: plans }],
		axes: [{ name: "demand", set: "scale", values: [0.8, 1, 1.2] }],
		baseline: { values: { demand: 1 } },
		replications: { seeds: "1:5" },
		metrics: ["mean_time_loss", "mean_travel_time"],
		run: { outputs: ["edgedata"] },
	});
	const slow = { step_length: "0.02" };

	await withTab(tenant, looks.light, async (page, go) => {
		await go("#/submit");
		await page.locator("#scenario-zip").setInputFiles({ name: "several_faults.zip", mimeType: "application/zip", buffer: network("broken/several_faults.zip") });
		await page.getByRole("button", { name: "Submit" }).click();
		await page.getByRole("alert").waitFor();
		await page.evaluate(() => scrollTo(0, 0));
		await take(page, "submit");

		await go("#/webhooks");
		await page.getByRole("row", { name: /^Finished.*planning Delivered/ }).waitFor();
		await page.getByRole("row", { name: /^Finished.*archive Waiting.* 503/ }).waitFor();
		await take(page, "webhooks");

		const running = await service.submit(tenant, "grid", { scenario_id: "evening-peak", ...slow, end: "1200", labels });
		await service.submit(tenant, "grid", { scenario_id: "morning-peak", ...slow });
		await service.submit(tenant, "grid", { scenario_id: "night", ...slow });
		await go(`#/jobs/${running.job_id}`);
		await page.locator(".log .step").nth(4).waitFor({ timeout: 240_000 });
		await take(page, "live");
		await go("#/jobs");
		await page.getByRole("row", { name: /Queued/ }).waitFor();
		await take(page, "jobs");

		await go(`#/studies/${study.study_id}`);
		await page.getByRole("link", { name: /^base, demand 1.2: [\d.]+ ±/ }).waitFor();
		await take(page, "studies-page");
		await go(`#/scenarios/${plans}`);
		await page.getByRole("heading", { level: 1, name: "corridor" }).waitFor();
		await take(page, "scenarios");

		await go(`#/jobs/${base}/plots`);
		await plotted(page);
		await below(page, ".tabs");
		await take(page, "plots");
		await go(`#/compare/${base},${more}`);
		await plotted(page);
		await below(page, ".columns.charts >> nth=0");
		await take(page, "compare");
	});

	await withTab(tenant, looks.dark, async (page, go) => {
		await go(`#/jobs/${grid}/map`);
		await page.getByLabel("Simulated time").fill("1800");
		await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor();
		await below(page, ".tabs");
		const map = await page.getByRole("application").boundingBox();
		await page.mouse.move(map.x + map.width / 2, map.y + map.height / 2);
		await page.mouse.wheel(0, -420);
		await take(page, "map");
	});

	await withTab(tenant, looks.light, async (page, go) => {
		await page.setViewportSize({ width: 900, height: 800 });
		await go(`#/jobs/${recorded}/map?t=1200&at=745,200,2.6`);
		await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor();
		await takeMoving(page, "replay", { from: 1200, to: 1230, step: 0.5, each: 100 });
	});

	await withTab(tenant, looks.light, async (page, go) => {
		await go(`#/studies/${study.study_id}/map`);
		await page.getByText(/told apart from chance in this interval/).waitFor();
		await below(page, ".tabs");
		await take(page, "studies-map");
	});

	await withTab({ key: service.adminKey, kind: "admin" }, looks.light, async (page, go) => {
		await go("#/overview");
		await page.getByRole("row", { name: /^north-study 1/ }).waitFor();
		await page.getByRole("img", { name: /^In 60 minutes/ }).waitFor();
		await take(page, "operator");
	});

	await withTab(tenant, looks.phone, async (page, go) => {
		await go(`#/jobs/${base}/map`);
		await page.getByLabel("Simulated time").fill("1980");
		await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor();
		await below(page, ".tabs");
		await take(page, "phone");
	});
	await eventually("the queue", async () => {
		const { jobs } = await service.call("GET", "/jobs?limit=10", { key: tenant.key });
		const left = jobs.filter((j) => !j.finished_at);
		for (const j of left) await service.call("DELETE", `/jobs/${j.job_id}`, { key: tenant.key });
		return left.length === 0;
	});
} finally {
	await browser.close();
	await service.stop();
	receiver.close();
}

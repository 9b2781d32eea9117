// Measures how recordings of many vehicles play, drawn by software, and prints it as `go test -bench` does.
import { looks, openTab, startBrowser } from "./browser.mjs";
import { recording, serveRecording } from "./replay.mjs";
import { startService } from "./service.mjs";

const side = 51; // streets in each direction
const block = 150; // metres
const span = (side - 1) * block;

const network = {
	bounds: [0, 0, span, span], unit: "m", junctions: [], stop_lines: [], polygons: [],
	edges: Array.from({ length: side }, (_, i) => i * block).flatMap((at, i) => [
		{ id: `h${i}`, lanes: 1, speed: 13.9, length: span, priority: 1, shape: [0, at, span, at] },
		{ id: `v${i}`, lanes: 1, speed: 13.9, length: span, priority: 1, shape: [at, 0, at, span] },
	]),
};

/** Vehicles that go up and down the streets: of `count` in all, `at once` are there at a time. */
function frames(count, atOnce, seconds) {
	const stay = (atOnce / count) * seconds;
	return Array.from({ length: seconds }, (_, time) => {
		const vehicles = [];
		for (let n = 0; n < count; n++) {
			const since = time - (n / count) * (seconds - stay);
			if (atOnce < count && (since < 0 || since > stay)) continue;
			const speed = 3 + (n % 110) / 10;
			const way = (n * 7919 + speed * time) % span;
			const street = (n % side) * block;
			vehicles.push(n % 2 ? { id: `v${n}`, x: way, y: street - 1.6, angle: 90, speed, lane: `h${n % side}_0` } : { id: `v${n}`, x: street + 1.6, y: way, angle: 0, speed, lane: `v${n % side}_0` });
		}
		return { time, vehicles };
	});
}

/** Counts the pictures that the page asks its worker for, and those that it shows. */
const countPictures = () => {
	Object.assign(globalThis, { asked: 0, shown: 0 });
	const { postMessage } = Worker.prototype;
	Worker.prototype.postMessage = function (message, ...more) {
		if (message.camera) asked++;
		return postMessage.call(this, message, ...more);
	};
	const { transferFromImageBitmap } = ImageBitmapRenderingContext.prototype;
	ImageBitmapRenderingContext.prototype.transferFromImageBitmap = function (picture) {
		shown++;
		return transferFromImageBitmap.call(this, picture);
	};
};

/** Milliseconds in the page from an act until a picture with what it leads to: the test's own ways to and from it are not counted. */
const until = (page, act, argument, time) =>
	page.evaluate(
		([act, argument, time]) =>
			new Promise((resolve) => {
				const from = performance.now();
				if (act === "go") location.hash = argument;
				else {
					const slider = document.querySelector(".timeline input");
					slider.value = argument;
					slider.dispatchEvent(new Event("input", { bubbles: true }));
				}
				requestAnimationFrame(function look() {
					const reading = document.querySelector(".player output")?.textContent;
					const painted = document.querySelector(".surface canvas[data-painter]"); // from the first picture on
					if (painted && asked === shown && reading === time && /Vehicles: [\d,]+ on/.test(document.querySelector(".says").textContent)) return requestAnimationFrame(() => resolve(performance.now() - from));
					requestAnimationFrame(look);
				});
			}),
		[act, argument, time],
	);

async function framesDuring(page, seconds) {
	const session = await page.context().newCDPSession(page);
	// Of the thread itself: on a machine that is shared, time passes also while others run.
	await session.send("Performance.enable", { timeDomain: "threadTicks" });
	const busy = async () => (await session.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value;
	const drawn = () => page.evaluate(() => shown);
	const before = [await busy(), await drawn()];
	const gaps = await page.evaluate(
		(wait) =>
			new Promise((resolve) => {
				const starts = [];
				const end = performance.now() + wait;
				requestAnimationFrame(function next(now) {
					starts.push(now);
					if (now < end) requestAnimationFrame(next);
					else resolve(starts.slice(1).map((at, i) => at - starts[i]));
				});
			}),
		1000 * seconds,
	);
	return { gaps, main: (1000 * ((await busy()) - before[0])) / gaps.length, pictures: ((await drawn()) - before[1]) / seconds };
}

const service = await startService();
const tenant = await service.register("bench");
const job = await service.submit(tenant, "square");
await service.finish(tenant, job.job_id);
for (const painter of ["webgl", "canvas"]) {
	const browser = await startBrowser();
	const open = async (made) => {
		const tab = await openTab(browser, service, looks.light);
		await tab.signIn(tenant.key);
		const { page } = tab;
		await page.addInitScript(countPictures);
		await page.reload();
		await page.evaluate((name) => sessionStorage.setItem("painter", name), painter);
		await page.route(`**/jobs/${job.job_id}/network`, (route) => route.fulfill({ json: network }));
		await page.route(`**/jobs/${job.job_id}/edgedata`, (route) => route.fulfill({ status: 404, json: { code: "not_found", title: "", detail: "none" } }));
		await serveRecording(page, job.job_id, made);
		const took = await until(page, "go", `#/jobs/${job.job_id}/map`, "0:00");
		const got = await page.getByRole("application").locator("canvas").last().getAttribute("data-painter");
		if (got !== painter) throw new Error(`drawn by ${got}, not ${painter}`);
		return { tab, page, took };
	};
	{
		const { tab, page, took } = await open(recording(frames(10_000, 1500, 3600)));
		console.log(`BenchmarkReplay/${painter}/open_1h_10000\t1\t${Math.round(took)} ms until the first picture`);
		const seeks = [];
		for (const time of [1800, 300, 3500, 2400, 900, 3000, 10]) {
			seeks.push(await until(page, "seek", String(time), `${Math.floor(time / 60)}:${String(time % 60).padStart(2, "0")}`));
		}
		console.log(`BenchmarkReplay/${painter}/seek\t${seeks.length}\t${Math.round(Math.max(...seeks))} max-ms`);
		await tab.stop();
	}
	for (const count of [5000, 20_000]) {
		const { tab, page } = await open(recording(frames(count, count, 60), { span: Math.max(5, Math.floor(300_000 / count)) }));
		for (const rate of ["1", "10"]) {
			await page.getByLabel("Simulated time").fill("0");
			await page.getByLabel("Playback speed").selectOption(rate);
			await page.getByRole("button", { name: "Play", exact: true }).click();
			const { gaps, main, pictures } = await framesDuring(page, 4);
			const pause = page.getByRole("button", { name: "Pause" });
			if (await pause.isVisible()) await pause.click();
			const sorted = [...gaps].sort((a, b) => a - b);
			console.log(`BenchmarkReplay/${painter}/play_${count}_${rate}x\t${gaps.length}\t${(1000 / (gaps.reduce((a, b) => a + b) / gaps.length)).toFixed(1)} frames/s\t${pictures.toFixed(1)} pictures/s\t${main.toFixed(1)} main-ms/frame\t${sorted[Math.floor(0.95 * sorted.length)].toFixed(0)} p95-ms`);
		}
		await tab.stop();
	}
	await browser.close();
}
await service.stop();

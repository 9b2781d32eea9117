// Measures the frame times of a map with ten thousand edges, from a real run, and prints them as `go test -bench` does.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { looks, openTab, startBrowser } from "./browser.mjs";
import { eventually, root, startService } from "./service.mjs";

const side = 51; // junctions on each side of the grid, which makes 10,200 edges
const block = 150; // metres
const bends = 4; // points within each edge, as in a real city
const vehicles = 3600;
const end = 420; // seconds

/** A reproducible sequence of random numbers. */
function* numbers(seed) {
	for (let state = seed; ; ) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		yield state / 2 ** 32;
	}
}

/** A city of crooked streets, every fifth an avenue, with traffic between random edges. */
function makeScenario(folder) {
	const random = numbers(7);
	const next = () => random.next().value;
	const place = Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => [i * block + 50 * (next() - 0.5), j * block + 50 * (next() - 0.5)]));
	const nodes = place.flatMap((row, i) => row.map(([x, y], j) => `<node id="n${i}_${j}" x="${x.toFixed(1)}" y="${y.toFixed(1)}"/>`));
	const edges = [];
	const ids = [];
	const street = (i, j, k, l) => {
		const [[x1, y1], [x2, y2]] = [place[i][j], place[k][l]];
		const points = Array.from({ length: bends }, (_, n) => {
			const share = (n + 1) / (bends + 1);
			return [x1 + (x2 - x1) * share + 8 * (next() - 0.5), y1 + (y2 - y1) * share + 8 * (next() - 0.5)].map((v) => v.toFixed(1)).join();
		});
		const avenue = (i === k ? i : j) % 5 === 0;
		for (const [from, to, shape] of [[`n${i}_${j}`, `n${k}_${l}`, points], [`n${k}_${l}`, `n${i}_${j}`, [...points].reverse()]]) {
			const id = `${from}-${to}`;
			edges.push(`<edge id="${id}" from="${from}" to="${to}" numLanes="${avenue ? 2 : 1}" speed="${avenue ? 16.67 : 8.33}" priority="${avenue ? 5 : 1}" shape="${shape.join(" ")}"/>`);
			ids.push(id);
		}
	};
	for (let i = 0; i < side; i++) {
		for (let j = 0; j < side; j++) {
			if (i + 1 < side) street(i, j, i + 1, j);
			if (j + 1 < side) street(i, j, i, j + 1);
		}
	}
	const any = () => ids[Math.floor(next() * ids.length)];
	const trips = Array.from({ length: vehicles }, (_, n) => `<trip id="${n}" depart="${((n * end) / vehicles / 1.4).toFixed(1)}" from="${any()}" to="${any()}"/>`);
	const parts = mkdtempSync(join(tmpdir(), "sumo-k8-parts-"));
	writeFileSync(join(parts, "nodes.xml"), `<nodes>${nodes.join("\n")}</nodes>`);
	writeFileSync(join(parts, "edges.xml"), `<edges>${edges.join("\n")}</edges>`);
	execFileSync("netconvert", ["-n", join(parts, "nodes.xml"), "-e", join(parts, "edges.xml"), "--no-turnarounds", "-o", join(folder, "city.net.xml")], { stdio: ["ignore", "ignore", "inherit"] });
	rmSync(parts, { recursive: true });
	writeFileSync(join(folder, "city.rou.xml"), `<routes>${trips.join("\n")}</routes>`);
	writeFileSync(
		join(folder, "city.sumocfg"),
		`<configuration><input><net-file value="city.net.xml"/><route-files value="city.rou.xml"/></input><time><begin value="0"/><end value="${end}"/></time></configuration>`,
	);
	return ids.length;
}

/** Records when each frame starts while act runs. */
async function framesDuring(page, act) {
	await page.evaluate(() => {
		const noted = (globalThis.noted = { frames: [], going: true });
		requestAnimationFrame(function next(now) {
			noted.frames.push(now);
			if (noted.going) requestAnimationFrame(next);
		});
	});
	await act();
	const frames = await page.evaluate(() => {
		globalThis.noted.going = false;
		return globalThis.noted.frames;
	});
	return frames.slice(1).map((at, i) => at - frames[i]);
}

function report(name, gaps) {
	const sorted = [...gaps].sort((a, b) => a - b);
	const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
	console.log(`BenchmarkMap/${name}\t${gaps.length} frames\t${at(0.5)} median-ms\t${at(0.95)} p95-ms\t${at(1)} max-ms`);
}

const folder = mkdtempSync(join(tmpdir(), "sumo-k8-city-"));
const service = await startService();
const browser = await startBrowser();
try {
	const edges = makeScenario(folder);
	const tenant = await service.register("bench");
	const env = { ...process.env, SUMO_K8_URL: service.url, SUMO_K8_API_KEY: tenant.key };
	const id = execFileSync(join(root, ".local", "bin", "sumo-k8"), ["submit", folder, "--outputs", "edgedata,fcd", "--cpu", "1"], { env, encoding: "utf8" }).trim();
	const job = await service.finish(tenant, id, 600_000);
	if (job.status !== "SUCCEEDED") throw new Error(`the run ended as ${job.status}: ${job.error}`);

	const tab = await openTab(browser, service, looks.light);
	await tab.signIn(tenant.key);
	const { page } = tab;
	const opened = performance.now();
	await tab.go(`#/jobs/${id}/map`);
	await page.getByText(`${edges.toLocaleString("en-GB")} edges`).waitFor({ timeout: 120_000 });
	await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor({ timeout: 120_000 });
	console.log(`BenchmarkMap/open\t1\t${Math.round(performance.now() - opened)} ms, ${edges} edges, views not yet made`);

	await page.getByLabel("Simulated time").fill("300");
	await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor({ timeout: 60_000 });
	const road = await page.getByText(/Vehicles: [\d,]+ on the road/).textContent();
	console.log(`# ${road.trim()}`);
	const map = page.getByRole("application");
	await map.scrollIntoViewIfNeeded();
	const box = await map.boundingBox();
	const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
	const drag = async () => {
		await page.mouse.move(x, y);
		await page.mouse.down();
		for (let i = 1; i <= 90; i++) await page.mouse.move(x + 150 * Math.sin(i / 12), y + 100 * Math.sin(i / 9));
		await page.mouse.up();
	};
	const wheel = async (step) => {
		await page.mouse.move(x, y);
		for (let i = 0; i < 40; i++) await page.mouse.wheel(0, step);
	};
	report("pan_all", await framesDuring(page, drag));
	report("zoom_in", await framesDuring(page, () => wheel(-60)));
	report("pan_near", await framesDuring(page, drag));
	report("zoom_out", await framesDuring(page, () => wheel(60)));
	await map.focus();
	await page.keyboard.press("0");
	const slide = page.getByLabel("Simulated time");
	report("slide", await framesDuring(page, async () => {
		await slide.focus();
		for (let i = 0; i < 40; i++) await page.keyboard.press("ArrowLeft");
	}));
	await page.getByRole("button", { name: "Play" }).click();
	report("play_10x", await framesDuring(page, () => eventually("the end of a part", async () => (await slide.inputValue()) >= 330)));
	await tab.stop();
} finally {
	await browser.close();
	await service.stop();
	rmSync(folder, { recursive: true, force: true });
}

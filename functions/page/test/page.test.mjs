// Tests every view and flow of the page in a real browser, against the real functions.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { animation } from "./animation.mjs";
import { assertAccessible, assertFits, coloursOn, keep, looks, openTab, picture, startBrowser } from "./browser.mjs";
import { recording, serveRecording } from "./replay.mjs";
import { eventually, network, startLine, startService } from "./service.mjs";

let service;
let browser;

before(async () => {
	[service, browser] = await Promise.all([startService({ CONTROLLERS: "python" }), startBrowser()]);
});

after(async () => {
	await browser?.close();
	await service?.stop();
});

let serial = 0;
const newTenant = (limits) => service.register(`team-${++serial}`, limits);

/** Slow enough to watch while it runs: a hundred thousand steps. */
const slow = { step_length: "0.02" };

/** Runs use in a tab that is signed in, and fails if the page logged errors. */
async function withTab(who, use, look = looks.light, at = service) {
	const tab = await openTab(browser, at, look);
	try {
		if (who) await tab.signIn(who.key, who.kind);
		await use(tab.page, tab);
	} catch (error) {
		await picture(tab.page, `failure-${++serial}`).catch(() => undefined);
		throw error;
	}
	await tab.stop();
}

const operator = () => ({ key: service.adminKey, kind: "admin" });

/** Drops a file as a user does: onto the page, not into the input. */
async function drop(page, name, content, type = "application/zip") {
	const transfer = await page.evaluateHandle(([name, bytes, type]) => {
		const t = new DataTransfer();
		t.items.add(new File([new Uint8Array(bytes)], name, { type }));
		return t;
	}, [name, [...content], type]);
	await page.dispatchEvent(".dropzone", "dragover", { dataTransfer: transfer });
	await page.dispatchEvent(".dropzone", "drop", { dataTransfer: transfer });
}

/** A job of the predecessor's records, and where its results are. */
async function importJob(tenant) {
	const id = crypto.randomUUID();
	const where = `s3://old-bucket/results/${id}/`;
	const { jobs } = await service.call("POST", "/admin/import/jobs", {
		json: {
			jobs: [
				{
					job_id: id, tenant_id: tenant.id, scenario_id: "old-run", status: "SUCCEEDED", cpu_request: 2, memory_gi: 4,
					submitted_at: "2025-03-01T08:00:00Z", started_at: "2025-03-01T08:01:00Z", finished_at: "2025-03-01T09:00:00Z",
					result_location: where, storage_type: "s3", prefix: `results/${id}/`, uploaded: true,
					files: [{ name: "tripinfo.xml", size: 4096, url: `${where}tripinfo.xml` }],
				},
			],
		},
	});
	assert.equal(jobs[0].outcome, "new", jobs[0].reason);
	return { id, where };
}

/** Where cars on the western approach of cross are: one stands at the stop line, the others go round and round behind it. */
const crossFrames = (count) =>
	Array.from({ length: 300 }, (_, time) => ({
		time,
		vehicles: [
			{ id: "first", x: 292, y: 298.4, angle: 90, speed: 0, lane: "west_in_1" },
			...Array.from({ length: count }, (_, n) => ({ id: `car ${n}`, x: ((n * 17 + time * 5) % 250) + 5, y: 295.2, angle: 90, speed: 5, lane: "west_in_0" })),
		].filter((v) => v.id !== "car 5" || time < 120 || time > 130),
	}));

const crossProgram = [[42, "rrrGGGgrrrGGGg"], [3, "rrryyyyrrryyyy"], [42, "GGgrrrrGGgrrrr"], [3, "yyyrrrryyyrrrr"]];

function crossState(time) {
	let left = time % 90;
	for (const [length, state] of crossProgram) {
		if (left < length) return state;
		left -= length;
	}
}

const teleport = {
	time: 120, kind: "teleport", vehicle: "car 5", edge: "west_in", lane: "west_in_0", x: 180, y: 295.2,
	text: "Warning: Teleporting vehicle 'car 5'; waited too long (jam), lane='west_in_0', time=120.00.",
};

const recordedCross = ({ count = 20, ...more } = {}) => recording(crossFrames(count), { signals: { centre: crossState }, ...more });

let finishedCross;
/** A tenant and its finished run of cross, whose recording tests make up. */
const crossRun = () =>
	(finishedCross ??= (async () => {
		const tenant = await newTenant();
		const job = await service.submit(tenant, "cross", { outputs: "edgedata" });
		await service.finish(tenant, job.job_id);
		return { tenant, job };
	})());

/** Waits until a field has a value: right after a link was followed, the page may still be the one before. */
const holds = (field, value) => eventually(`a field with ${JSON.stringify(value)}`, async () => (await field.inputValue()) === value);

const heading2 = (page, name) => page.getByRole("heading", { level: 2, name });
const heading = (page, name) => page.getByRole("heading", { level: 1, name });

describe("signing in", () => {
	test("an invalid key is refused with the reason, and a valid one stays in its tab", async () => {
		const tenant = await newTenant();
		await withTab(null, async (page, tab) => {
			await tab.go("");
			await heading(page, "Sign in").waitFor();
			await page.getByLabel("API key", { exact: true }).fill("sk-wrong");
			await page.getByRole("button", { name: "Sign in" }).click();
			await page.getByRole("alert").getByText("API key").waitFor();
			await page.getByLabel("API key", { exact: true }).fill(tenant.key);
			await page.keyboard.press("Enter");
			await heading(page, "Jobs").waitFor();
			const kept = await page.evaluate(() => ({ tab: JSON.stringify(sessionStorage), browser: JSON.stringify(localStorage) + document.cookie }));
			assert.ok(kept.tab.includes(tenant.key));
			assert.ok(!kept.browser.includes(tenant.key));
			const other = await tab.context.newPage();
			await other.goto(service.url);
			await heading(other, "Sign in").waitFor();
			await other.close();
			await page.reload();
			await heading(page, "Jobs").waitFor(); // a reload keeps the tab
			await page.getByRole("button", { name: "Sign out" }).click();
			await heading(page, "Sign in").waitFor();
			assert.ok(!(await page.evaluate(() => JSON.stringify(sessionStorage))).includes(tenant.key));
		});
	});

	test("a key that was replaced ends the session and says why", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page) => {
			await service.call("POST", "/auth/regenerate-key", { json: { tenant_id: tenant.id } });
			await page.getByText("You were signed out").waitFor(); // by the next poll of the jobs
			await heading(page, "Sign in").waitFor();
		});
	});
});

describe("an engineer", () => {
	test("sees every fault of a broken scenario by file and line, and of a field next to it", async () => {
		await withTab(await newTenant(), async (page) => {
			await page.getByRole("link", { name: "Submit", exact: true }).click();
			await drop(page, "several_faults.zip", network("broken/several_faults.zip"));
			await page.getByRole("button", { name: "Submit" }).click();
			const alert = page.getByRole("alert");
			await alert.getByText("3 problems were found").waitFor();
			const { problems } = JSON.parse(network("broken/expected.json")).find((e) => e.file === "several_faults.zip");
			for (const { location } of problems) {
				const [file, line] = location.split(":");
				await alert.locator(".file", { hasText: file }).getByText(`line ${line}`, { exact: true }).waitFor();
			}
			await drop(page, "square.zip", network("ready_to_use/square.zip"));
			await alert.waitFor({ state: "detached" }); // another file, another chance
			await page.getByLabel("Seed").fill("many");
			await page.getByRole("button", { name: "Submit" }).click();
			await page.getByText("must be a whole number").waitFor();
			assert.equal(await page.getByLabel("Seed").getAttribute("aria-invalid"), "true");
			await page.getByLabel("Labels").fill("nonsense");
			await page.getByRole("button", { name: "Submit" }).click();
			await page.getByText("is not of the form key=value", { exact: false }).first().waitFor();
			await drop(page, "notes.txt", new Uint8Array([1]));
			await page.getByText("notes.txt is not a zip").waitFor();
		});
	});

	test("drops a file in the moment the place for it appears", async () => {
		await withTab(await newTenant(), async (page) => {
			await page.addInitScript(() =>
				new MutationObserver((_, observer) => {
					const zone = document.querySelector(".dropzone");
					if (!zone) return;
					observer.disconnect();
					const dataTransfer = new DataTransfer();
					dataTransfer.items.add(new File(["PK"], "quick.zip"));
					zone.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
				}).observe(document, { childList: true, subtree: true }),
			);
			await page.reload();
			await page.getByRole("link", { name: "Submit", exact: true }).click();
			await page.locator(".dropzone").getByText("quick.zip").waitFor();
		});
	});

	test("drops a scenario, watches it finish, views all results, and downloads them", async () => {
		const tenant = await newTenant({ max_concurrent_jobs: 1 });
		await withTab(tenant, async (page) => {
			await page.getByRole("link", { name: "Submit a job" }).first().click();
			await drop(page, "corridor.zip", network("ready_to_use/corridor.zip"));
			assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "corridor");
			await page.getByLabel("Vehicle positions").check();
			await page.getByLabel("Emissions").check();
			await page.getByLabel("Labels").fill("study=north");
			await page.getByRole("button", { name: "Submit" }).click();

			// Live: the log arrives line by line, and the page switches to the summary by itself.
			await heading(page, "corridor").waitFor();
			await page.getByRole("log").getByText("Simulation version").waitFor();
			await page.locator(".pill.succeeded").waitFor({ timeout: 240_000 });
			await page.getByRole("cell", { name: /^8\.\d+ m\/s \(\d/ }).waitFor();
			await page.getByText("study=north").waitFor();

			await page.getByRole("link", { name: "Log" }).click();
			await page.getByRole("log").getByText("sumo-run: succeeded").waitFor();
			await page.getByLabel("Find").fill("loading");
			await page.getByText(/^\d+ of \d+ lines$/).waitFor();

			await page.getByRole("link", { name: "Plots" }).click();
			for (const name of [/^Vehicles over/, /^Mean speed over/, /^Travel time of 1,530 trips/, /^Time loss of 1,530 trips/, /^CO₂ of all vehicles over/]) {
				assert.ok((await coloursOn(page.getByRole("img", { name }).locator("canvas"))) > 2, `${name} is empty`);
			}

			const drawn = page.waitForEvent("download");
			await page.getByRole("button", { name: "Save Vehicles as PNG" }).click();
			assert.equal(readFileSync(await (await drawn).path()).subarray(1, 4).toString(), "PNG");

			await page.getByRole("link", { name: "Events" }).click();
			for (const state of ["Queued", "Starting", "Running", "Succeeded"]) await page.getByRole("cell", { name: state, exact: true }).waitFor();

			await page.getByRole("link", { name: "Results" }).click();
			let download = page.waitForEvent("download");
			await page.getByRole("link", { name: "tripinfo.xml" }).click();
			assert.match(readFileSync(await (await download).path(), "utf8"), /<tripinfos/);
			download = page.waitForEvent("download");
			await page.getByRole("button", { name: /^Download all as zip/ }).click();
			const zip = await download;
			assert.match(zip.suggestedFilename(), /^corridor-.*\.zip$/);
			assert.equal(readFileSync(await zip.path()).subarray(0, 2).toString(), "PK");

			download = page.waitForEvent("download");
			await page.getByRole("button", { name: "Download tripinfo as CSV" }).click();
			assert.match(readFileSync(await (await download).path(), "utf8"), /^id,depart,/);
			download = page.waitForEvent("download");
			await page.getByRole("button", { name: "Download fcd as Parquet" }).click();
			assert.equal(readFileSync(await (await download).path()).subarray(0, 4).toString(), "PAR1");

			const blocker = await service.submit(tenant, "grid", slow); // so that the next job waits until it is cancelled
			await page.getByRole("button", { name: "Run again" }).click();
			await page.getByText("Submitted again.").waitFor();
			await page.getByRole("button", { name: "Cancel" }).click();
			await page.locator(".pill.cancelled").waitFor();
			await page.getByRole("button", { name: "Delete…" }).click();
			await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
			await heading(page, "Jobs").waitFor();
			await eventually("the two jobs that are left", async () => (await page.locator("table.jobs tbody tr").count()) === 2);
			await service.call("DELETE", `/jobs/${blocker.job_id}`, { key: tenant.key });
		});
	});

	test("loses and repeats no line of the log when the connection breaks", async () => {
		const tenant = await newTenant();
		const { job_id: id } = await service.submit(tenant, "grid", { ...slow, end: "600" });
		const line = await startLine(service.url);
		await withTab(null, async (page, tab) => {
			await tab.signIn(tenant.key);
			await tab.go(`#/jobs/${id}/log`);
			const log = page.getByRole("log");
			await log.locator(".step").nth(2).waitFor();
			await page.getByRole("img", { name: /^Vehicles over simulated time; now \d+ running/ }).waitFor();
			await picture(page, "live");
			line.cut();
			await page.getByText("Connection lost").waitFor();
			line.restore();
			await log.getByText("sumo-run: succeeded").waitFor({ timeout: 240_000 });
			const { logs } = await service.call("GET", `/jobs/${id}/logs`, { key: tenant.key });
			const shown = (await log.locator(".block > div").allTextContents()).map((line) => line.replace("\u00a0", ""));
			assert.deepEqual(shown, logs.trimEnd().split("\n"));
		}, looks.light, line);
		await line.stop();
	});

	test("sees why a job failed, and which outputs a run did not write", async () => {
		const tenant = await newTenant();
		const [late, plain] = await Promise.all([service.submit(tenant, "grid", { ...slow, timeout_seconds: "1" }), service.submit(tenant, "square")]);
		await Promise.all([service.finish(tenant, late.job_id), service.finish(tenant, plain.job_id)]);
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/jobs/${late.job_id}`);
			await page.getByText("DeadlineExceeded.").waitFor();
			await page.getByRole("link", { name: "Summary" }).click();
			await page.getByText("cover only part of it").or(page.getByText("before SUMO wrote anything")).waitFor();
			await tab.go(`#/jobs/${plain.job_id}/map`);
			await page.getByText("outputs=edgedata").waitFor();
			await page.getByText("replay=true").waitFor();
			await page.getByLabel("Colour by").getByText("Speed limit").waitFor({ state: "attached" });

			// The cure is next to it: the same job with other outputs, from the stored scenario.
			await page.getByRole("link", { name: "Run again with other outputs" }).first().click();
			await holds(page.getByLabel("Name", { exact: true }), "square");
			await page.getByText("24 edges").waitFor();
			await page.getByLabel("Edge data").check();
			await page.getByRole("button", { name: "Submit" }).click();
			await page.locator(".pill.succeeded").waitFor();
			await page.getByText("Additional outputs").waitFor();
			await page.getByRole("link", { name: "Map" }).click();
			await page.getByLabel("Colour by").getByText("Density").waitFor({ state: "attached" });
		});
	});

	test("chooses a version of SUMO, and lets SUMO check a scenario", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page) => {
			await page.getByRole("link", { name: "Submit a job" }).first().click();
			await drop(page, "square.zip", network("ready_to_use/square.zip"));
			const versions = page.getByLabel("SUMO version");
			await versions.getByText(/^Default \(1\.\d+\)$/).waitFor({ state: "attached" });
			const version = await versions.locator("option").nth(1).evaluate((option) => option.value);
			await versions.selectOption(version);
			await page.getByLabel("Unfinished trips").check();
			await page.getByLabel("Cache").selectOption("use");
			await page.getByRole("button", { name: "Check" }).click();

			await heading(page, "square").waitFor();
			await page.getByText("A check: nothing is simulated").waitFor();
			await page.locator(".pill.succeeded").waitFor();
			await page.getByText("SUMO loads the scenario without a complaint.").waitFor();
			await page.getByText(new RegExp(`^${version.replace(".", "\\.")}`)).first().waitFor();
			assert.equal(await page.getByRole("link", { name: "Results" }).count(), 0);

			await page.getByRole("link", { name: "Edit and run" }).click();
			await page.getByLabel("SUMO version").getByText(version, { exact: true }).waitFor({ state: "attached" });
			await holds(page.getByLabel("SUMO version"), version);
			assert.ok(await page.getByLabel("Unfinished trips").isChecked());
			await page.getByRole("button", { name: "Submit" }).click();
			await page.getByText("counted", { exact: true }).waitFor();
			await page.getByRole("link", { name: "Results" }).waitFor();
		});
	});

	test("says which program steers a run, or which tool takes its place", async () => {
		const tenant = await newTenant({ controllers: true });
		await withTab(tenant, async (page, tab) => {
			await page.getByRole("link", { name: "Submit a job" }).first().click();
			await drop(page, "square.zip", network("ready_to_use/square.zip"));
			const what = page.getByLabel("What runs");
			await what.selectOption("A tool of SUMO's");
			await page.getByLabel("Tool", { exact: true }).selectOption("netconvert");
			await page.getByLabel("Keep as").fill("rebuilt");
			await what.selectOption("A controller");
			await page.getByLabel("Program", { exact: true }).fill("control.py");
			await page.getByLabel("Interface").selectOption("libsumo");
			await page.getByLabel("Arguments").fill("--gain\n0.4");
			await page.getByRole("button", { name: "Submit" }).click();
			await page.getByText("is not in the scenario").waitFor();
			await page.getByLabel("Program", { exact: true }).fill("other.py");
			await page.getByText("is not in the scenario").waitFor({ state: "detached" });
			await assertAccessible(page);

			await what.selectOption("SUMO alone");
			await page.getByRole("button", { name: "Submit" }).click();
			await page.getByRole("link", { name: "Results" }).waitFor();
			const { jobs } = await service.call("GET", "/jobs", { key: tenant.key });
			await tab.page.route(`**/jobs/${jobs[0].job_id}`, async (route) => {
				const answer = await route.fetch();
				const job = await answer.json();
				job.options.controller = { file: "control.py", args: ["--gain", "0.4"], interface: "libsumo" };
				await route.fulfill({ response: answer, json: job });
			});
			await tab.go("#/jobs");
			await tab.go(`#/jobs/${jobs[0].job_id}`);
			await page.getByText("control.py --gain 0.4").waitFor();
			assert.equal(await page.getByRole("link", { name: "Counts" }).count(), 1);
			await page.getByRole("link", { name: "Edit and run" }).click();
			await holds(page.getByLabel("Program", { exact: true }), "control.py");
			await holds(page.getByLabel("Arguments"), "--gain\n0.4");

			// A tool leaves no summary, but may say how it converged.
			await tab.page.unroute(`**/jobs/${jobs[0].job_id}`);
			await tab.page.route(`**/jobs/${jobs[0].job_id}`, async (route) => {
				const answer = await route.fetch();
				const job = await answer.json();
				job.options.tool = { name: "duaIterate", args: ["-n", "a net.xml"], keep_as: "assigned" };
				job.result_files.files.push({ name: "convergence.json", size: 1 });
				await route.fulfill({ response: answer, json: job });
			});
			await tab.page.route("**/plots/convergence.svg*", (route) => route.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>' }));
			await tab.go("#/jobs");
			await tab.go(`#/jobs/${jobs[0].job_id}`);
			await page.getByText('duaIterate -n "a net.xml"').waitFor();
			await page.getByText("to be kept as assigned").waitFor();
			assert.deepEqual(await page.getByRole("navigation", { name: "Views of this job" }).getByRole("link").allInnerTexts(), ["Log", "Plots", "Results", "Events"]);
			await page.getByRole("link", { name: "Plots", exact: true }).click();
			await page.getByRole("img", { name: /^Mean travel time and its change/ }).waitFor();
		});
		await withTab(await newTenant(), async (page) => {
			await page.getByRole("link", { name: "Submit a job" }).first().click();
			await page.getByLabel("Cores").waitFor();
			assert.equal(await page.getByLabel("What runs").count(), 0, "a tenant that may not is offered programs");
		});
	});

	test("shows a tenant whose default version is gone, and warnings of a job", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page, tab) => {
			const scenario = await service.submit(tenant, "square");
			await tab.page.route("**/tenants/me/dashboard", async (route) => {
				const answer = await route.fetch();
				await route.fulfill({ response: answer, json: { ...(await answer.json()), notes: ["SUMO 1.15 is no longer offered."] } });
			});
			await tab.page.route(`**/jobs/${scenario.job_id}`, async (route) => {
				const answer = await route.fetch();
				await route.fulfill({ response: answer, json: { ...(await answer.json()), warnings: ["a.rou.xml:3: SUMO drops b"] } });
			});
			await tab.go("#/jobs");
			await page.getByText("SUMO 1.15 is no longer offered.").waitFor();
			await tab.go(`#/jobs/${scenario.job_id}`);
			await page.getByText("1 warning", { exact: true }).waitFor();
			await page.getByText("a.rou.xml:3: SUMO drops b").waitFor();
		});
	});

	test("adds a webhook, sees what is sent to it, pauses it, replaces its secret, and deletes it", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page) => {
			await page.getByRole("link", { name: "Webhooks", exact: true }).click();
			await page.getByText("There are no webhooks yet.").waitFor();
			await page.getByRole("button", { name: "Add a webhook" }).click();
			const dialog = page.getByRole("dialog");
			await dialog.getByLabel("URL").fill("http://localhost:1/sumo");
			await dialog.getByLabel("Running").uncheck();
			await dialog.getByLabel("Labels").fill("study=north");
			await dialog.getByRole("button", { name: "Add" }).click();
			await dialog.getByText("must begin with https://").first().waitFor();
			assert.equal(await dialog.getByLabel("URL").getAttribute("aria-invalid"), "true");
			await dialog.getByLabel("URL").fill("https://localhost:1/sumo");
			await dialog.getByRole("button", { name: "Add" }).click();
			const secret = await dialog.locator(".key code").textContent();
			assert.match(secret, /^whsec_/);
			await picture(page, "webhook-secret");
			await dialog.getByRole("button", { name: "I have stored it" }).click();
			await page.getByRole("row", { name: "https://localhost:1/sumo Queued, Finished study=north Enabled" }).or(page.getByRole("row", { name: "https://localhost:1/sumo Finished, Queued study=north Enabled" })).waitFor();

			await service.submit(tenant, "square", { labels: JSON.stringify({ study: "north" }) });
			await service.submit(tenant, "square"); // which has no such label
			const deliveries = page.locator("table.deliveries");
			await deliveries.getByRole("row", { name: /^Finished.* Waiting/ }).waitFor();
			await deliveries.getByRole("row", { name: /^Queued.* Waiting/ }).waitFor();
			assert.equal(await deliveries.locator("tbody tr").count(), 2);
			await page.getByLabel("State").selectOption({ label: "Delivered" });
			await page.getByText("No deliveries match the filter.").waitFor();
			await page.getByLabel("State").selectOption({ label: "Any" });
			await page.getByRole("button", { name: "Send again: Finished" }).click();
			await page.getByText("The delivery is sent again.").waitFor();

			await page.getByRole("button", { name: "Pause https://localhost:1/sumo" }).click();
			await page.locator("table.hooks").getByText("Paused").waitFor();
			await deliveries.getByText("Paused").nth(1).waitFor();
			await page.getByRole("button", { name: "Resume https://localhost:1/sumo" }).click();
			await page.locator("table.hooks").getByText("Enabled").waitFor();

			await page.getByRole("button", { name: "Edit https://localhost:1/sumo" }).click();
			assert.equal(await dialog.getByLabel("Labels").inputValue(), "study=north");
			assert.ok(!(await dialog.getByLabel("Running").isChecked()));
			await dialog.getByLabel("CloudEvents").check();
			await dialog.getByRole("button", { name: "Save" }).click();
			await page.locator("table.hooks").getByText("CloudEvents").waitFor();

			await page.getByRole("button", { name: "New secret for" }).click();
			await dialog.getByRole("button", { name: "Make a new secret" }).click();
			assert.notEqual(await dialog.locator(".key code").textContent(), secret);
			await dialog.getByRole("button", { name: "I have stored it" }).click();
			await page.getByText("Old secret valid until").waitFor();
			assert.ok(!(await page.content()).includes("whsec_"));

			await page.getByRole("button", { name: "Delete https://localhost:1/sumo" }).click();
			await dialog.getByRole("button", { name: "Delete" }).click();
			await page.getByText("There are no webhooks yet.").waitFor();
		});
	});

	test("edits a webhook without changing its labels, and labels with commas", async () => {
		const tenant = await newTenant();
		const url = "https://localhost:1/sumo";
		const labels = { study: "a,b=c", stage: "1" };
		await service.call("POST", "/webhooks", { key: tenant.key, json: { url, labels } });
		const now = async () => (await service.call("GET", "/webhooks", { key: tenant.key })).webhooks[0];
		await withTab(tenant, async (page, tab) => {
			await tab.go("#/webhooks");
			await page.getByText('study="a,b=c"').waitFor();
			const dialog = page.getByRole("dialog");
			const change = async (use) => {
				await page.getByRole("button", { name: `Edit ${url}` }).click();
				await use();
				await dialog.getByRole("button", { name: "Save" }).click();
				await dialog.waitFor({ state: "detached" });
			};
			await change(async () => {
				await dialog.getByLabel("CloudEvents").check();
				await picture(page, "webhook-labels");
			});
			assert.deepEqual((await now()).labels, labels);
			assert.equal((await now()).format, "cloudevents");
			await change(() => dialog.getByLabel("Labels").fill('study="a,b"'));
			assert.deepEqual((await now()).labels, { study: "a,b" });
			await change(() => dialog.getByLabel("Labels").fill(""));
			assert.deepEqual((await now()).labels, {});
		});
	});

	test("shows what there is of a job that the predecessor ran", async () => {
		const tenant = await newTenant();
		const { where } = await importJob(tenant);
		await withTab(tenant, async (page) => {
			assert.ok(await page.getByLabel("Compare old-run").isDisabled());
			const missing = [];
			page.on("response", (answer) => answer.status() >= 400 && missing.push(answer.url()));
			await page.getByRole("link", { name: "old-run" }).click();
			await page.getByText("Run by the predecessor of this service").waitFor();
			await page.getByText(where, { exact: true }).waitFor();
			await page.getByRole("row", { name: `tripinfo.xml ${where}tripinfo.xml` }).waitFor();
			await page.getByText("More details").click();
			await picture(page, "imported");
			assert.ok((await page.locator("dd").allTextContents()).every((fact) => fact !== "" && fact !== "…"));
			assert.equal(await page.getByRole("button", { name: "Run again" }).count(), 0);
			for (const view of ["plots", "map", "log", "summary", "events"]) {
				await page.evaluate((view) => (location.hash = location.hash.replace(/(jobs\/[^/]+).*/, `$1/${view}`)), view);
				await page.getByText(where, { exact: true }).waitFor();
			}
			assert.deepEqual(missing, []);
			await page.getByRole("button", { name: "Delete…" }).click();
			await page.getByText("Its result files stay where they are.").waitFor();
			await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
			await heading(page, "Jobs").waitFor();
			await page.getByText("There are no jobs yet.").waitFor();
		});
	});

	test("compares runs of one scenario: metrics with differences, and overlaid curves", async () => {
		const tenant = await newTenant();
		const jobs = await Promise.all(["1", "1.3"].map((scale) => service.submit(tenant, "cross", { scale, seed: "1" })));
		await Promise.all(jobs.map((j) => service.finish(tenant, j.job_id)));
		await withTab(tenant, async (page) => {
			for (const place of [0, 1]) await page.getByRole("checkbox", { name: "Compare cross" }).nth(place).check();
			await page.getByRole("button", { name: "Compare" }).click();
			await heading(page, "Compare 2 jobs").waitFor();
			await page.getByRole("link", { name: "cross, demand × 1.3" }).waitFor();
			await page.getByRole("row", { name: /^Vehicles inserted/ }).getByText(/^[+−]\d/).waitFor();
			for (const job of ["demand × 1: ", "demand × 1.3: "]) {
				const chart = page.getByRole("img", { name: "Vehicles over simulated time" }).and(page.getByRole("img", { name: job }));
				assert.ok((await coloursOn(chart.locator("canvas"))) > 3);
			}
			await page.getByRole("img", { name: /^Travel time of/ }).waitFor();
			await page.getByLabel("Series of Vehicles", { exact: true }).selectOption({ label: "Halting vehicles" });
			await page.getByRole("link", { name: "Choose others" }).click();
			await heading(page, "Compare jobs").waitFor();
		});
	});

	test("counts jobs as the list names their states", async () => {
		const tenant = await newTenant({ max_concurrent_jobs: 3 });
		const jobs = await Promise.all([1, 2, 3].map(() => service.submit(tenant, "grid", slow)));
		await withTab(tenant, async (page) => {
			for (const state of ["Starting", "Running"]) {
				await eventually(`as many ${state} in the list as counted`, async () => {
					const listed = await page.locator("table.jobs .pill", { hasText: state }).count();
					return listed > 0 && String(listed) === (await page.locator(".tile", { hasText: state }).locator(".value").textContent());
				});
			}
		});
		await Promise.all(jobs.map((j) => service.call("DELETE", `/jobs/${j.job_id}`, { key: tenant.key })));
	});

	test("shows older jobs, and loses none of them when new ones come", async () => {
		const tenant = await newTenant();
		const add = (from, to) =>
			service.call("POST", "/admin/import/jobs", {
				json: {
					jobs: Array.from({ length: to - from }, (_, i) => ({
						job_id: crypto.randomUUID(), tenant_id: tenant.id, scenario_id: `run-${from + i}`, status: "SUCCEEDED", cpu_request: 1, memory_gi: 1,
						...Object.fromEntries(["submitted_at", "started_at", "finished_at"].map((name) => [name, new Date(Date.UTC(2025, 2, 1, 0, from + i)).toISOString()])),
					})),
				},
			});
		await add(0, 200);
		await add(200, 260);
		await withTab(tenant, async (page) => {
			const listed = (n) => eventually(`${n} jobs`, async () => (await page.locator("table.jobs tbody tr").count()) === n, 30_000);
			await listed(50);
			for (const n of [100, 150, 200, 250]) {
				await page.getByRole("button", { name: "Show older jobs" }).click();
				await listed(n);
			}
			await add(260, 265);
			await page.getByRole("link", { name: "run-264", exact: true }).waitFor();
			const names = await page.locator("table.jobs .name a").allInnerTexts();
			assert.deepEqual(names, Array.from({ length: 250 }, (_, i) => `run-${264 - i}`));
			await page.getByRole("button", { name: "Show older jobs" }).click();
			await listed(265);
			await page.getByRole("button", { name: "Show older jobs" }).waitFor({ state: "detached" });
		});
	});

	test("sees that a job is deleted elsewhere while it is shown, and nothing else of it", async () => {
		const tenant = await newTenant();
		const { job_id: id } = await service.submit(tenant, "grid", slow);
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/jobs/${id}/summary`);
			await page.getByRole("button", { name: "Cancel" }).waitFor();
			await service.call("DELETE", `/jobs/${id}`, { key: tenant.key });
			const answer = page.route(`**/jobs/${id}`, (route) => route.fulfill({ status: 404, contentType: "application/problem+json", json: { title: "Not Found", status: 404, detail: "No such job." } }));
			await answer; // as when it is purged between two looks
			await page.getByRole("alert").getByText("No such job.").waitFor();
			assert.equal(await page.getByRole("navigation", { name: "Views of this job" }).count(), 0);
			assert.equal(await page.getByRole("button", { name: "Cancel" }).count(), 0);
			await tab.go(`#/compare/${id},${id.replace(/^./, "f")}`);
			await page.getByRole("alert").waitFor();
			await page.getByRole("link", { name: "Choose others" }).click();
			await page.getByText("No jobs have succeeded yet").waitFor();
		});
	});

	test("keeps what was typed when a file is dropped on a view that takes none", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page) => {
			await heading(page, "Jobs").waitFor();
			const [file, text] = await page.evaluate(() => {
				const stopped = (fill) => {
					const dataTransfer = new DataTransfer();
					fill(dataTransfer);
					return !document.querySelector("input[type=search]").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
				};
				return [stopped((t) => t.items.add(new File(["x"], "a.zip"))), stopped((t) => t.setData("text/plain", "x"))];
			});
			assert.ok(file, "the file would replace the page");
			assert.ok(!text, "text cannot be dragged into a field");
		});
	});

	test("drops traffic counts, sees their faults, and then which of them the run reproduces", async () => {
		const tenant = await newTenant();
		const job = await service.submit(tenant, "cross", {});
		await service.finish(tenant, job.job_id);
		await withTab(tenant, async (page) => {
			await page.getByRole("link", { name: "cross" }).first().click();
			await page.getByRole("link", { name: "Counts" }).click();
			await drop(page, "bad.csv", Buffer.from("detector,hour,flow\nwest_0,noon,1\n"), "text/csv");
			await page.getByRole("alert").getByText("line 2").first().waitFor();
			await drop(page, "counts.csv", Buffer.from("detector,begin,end,flow\nwest_0 west_1,0,1500,100000\nnone,0,1500,1\n"), "text/csv");
			await heading2(page, "GEH below 5: 0 of 1").waitFor();
			await page.getByRole("row", { name: /^west_0 west_1 0 1,?500 100,000 \d+/ }).waitFor();
			await page.getByText("values of an induction loop").waitFor();
			await eventually("the plot", () => page.locator("img.plot").evaluate((i) => i.naturalWidth > 0));
		});
	});

	test("navigates the map with pointer and keys, and finds an edge", async () => {
		const tenant = await newTenant();
		const job = await service.submit(tenant, "grid", { outputs: "edgedata", end: "900" });
		await service.finish(tenant, job.job_id);
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/jobs/${job.job_id}/map`);
			const map = page.getByRole("application");
			const roads = map.locator("canvas").first();
			await map.waitFor();
			await page.getByLabel("Simulated time").fill("600");
			await eventually("edges coloured by speed", async () => (await coloursOn(roads)) > 8);

			// Every way of moving changes the picture, and "show all" restores the first one.
			const seen = () => roads.evaluate((c) => c.toDataURL());
			const whole = await seen();
			const changed = async (how, act) => {
				const before = await seen();
				await act();
				await eventually(`another picture after ${how}`, async () => (await seen()) !== before);
			};
			const box = await map.boundingBox();
			const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
			await page.mouse.move(x, y);
			await changed("the wheel", () => page.mouse.wheel(0, -300));
			await changed("dragging", async () => {
				await page.mouse.down();
				await page.mouse.move(x + 80, y + 40, { steps: 4 });
				await page.mouse.up();
			});
			await map.focus();
			for (const key of ["ArrowLeft", "ArrowUp", "+", "-"]) await changed(key, () => page.keyboard.press(key));
			await page.keyboard.press("0");
			await eventually("the whole picture", async () => (await seen()) === whole);
			await changed("another measure", () => page.getByLabel("Colour by").selectOption({ label: "Density (veh/km)" }));
			await page.getByText("Highest: density").waitFor();

			await page.getByLabel("Edge", { exact: true }).fill("nowhere");
			await page.getByRole("button", { name: "Find" }).click();
			await page.getByText("There is no such edge.").waitFor();
			await page.getByLabel("Edge", { exact: true }).fill("A1B1");
			await page.getByRole("button", { name: "Find" }).click();
			await page.getByRole("heading", { name: "Edge A1B1" }).waitFor();
			await page.getByRole("img", { name: "Density of edge A1B1 over simulated time" }).waitFor();

			await page.getByLabel("Playback speed").selectOption("200");
			await page.getByRole("button", { name: "Play", exact: true }).click();
			await page.getByRole("button", { name: "Play", exact: true }).waitFor(); // it stops at the end
			await page.locator(".player output", { hasText: "15:00" }).waitFor();
		});
	});

	test("plays a recording, seeks, follows a vehicle, looks at a signal, and shares what is seen", async () => {
		const { tenant, job } = await crossRun();
		await withTab(tenant, async (page, tab) => {
			await serveRecording(page, job.job_id, recordedCross({ events: [teleport] }));
			const trips = Array.from({ length: 20 }, (_, n) => ({
				id: `car ${n}`, depart: 65, arrival: 265, duration: 200, timeLoss: 12, waitingTime: 0, routeLength: 1500, departLane: "west_in_0", arrivalLane: n % 3 ? "east_out_0" : "north_out_0",
			}));
			const asked = [];
			await page.route("**/tables/tripinfo?**", (route) => {
				asked.push(route.request().url());
				return route.fulfill({ json: { columns: [], rows: trips } });
			});
			const map = page.getByRole("application");
			const painter = async () => {
				await tab.go(`#/jobs/${job.job_id}/map`);
				await page.getByText("Vehicles: 21 on the road").waitFor();
				return eventually("a picture", () => map.locator("canvas").last().getAttribute("data-painter"));
			};
			assert.equal(await painter(), "canvas"); // without a graphics card
			await page.evaluate(() => sessionStorage.setItem("painter", "webgl"));
			await page.reload();
			assert.equal(await painter(), "webgl");
			const seen = async () => (await map.screenshot()).toString("base64"); // a WebGL canvas cannot be read later
			const shows = (time) => page.locator(".player output", { hasText: new RegExp(`^${time}$`) }).waitFor();

			// By the buttons, and by keys on the map and on the time line.
			const press = (name) => page.getByRole("button", { name, exact: true }).click();
			await press("Play");
			await eventually("time that goes on", async () => Number(await page.getByLabel("Simulated time").inputValue()) > 2);
			await press("Pause");
			await press("One step forward");
			await map.focus();
			await page.keyboard.press("End");
			await shows("4:59");
			await page.keyboard.press("Home");
			await shows("0:00");
			for (const key of [".", ".", ","]) await page.keyboard.press(key);
			await shows("0:01");
			await page.keyboard.press("Space");
			await page.getByRole("button", { name: "Pause" }).waitFor();
			await page.keyboard.press("Space");
			await page.getByRole("button", { name: "Play", exact: true }).waitFor();
			await page.getByLabel("Simulated time").focus();
			await page.keyboard.press("Home");
			await page.keyboard.press("ArrowRight");
			await shows("0:01");
			await page.getByLabel("Simulated time").fill("100");
			await shows("1:40");

			// A vehicle, by its id and with the pointer.
			await page.getByLabel("Vehicle", { exact: true }).fill("nobody");
			await press("Find the vehicle");
			await page.getByText("The recording has no such vehicle.").waitFor();
			await page.getByLabel("Vehicle", { exact: true }).fill("car 3");
			await press("Find the vehicle");
			const inspected = page.getByRole("region", { name: "Selected vehicle" });
			await inspected.getByText("18 km/h").waitFor();
			await inspected.getByText("west_in_0", { exact: true }).waitFor();
			await inspected.getByText("3 min 20 s").waitFor();
			await inspected.getByText("0:01:05").waitFor();
			assert.equal(asked.length, 1, `figures of trips were asked for with ${asked}`);
			await page.getByLabel("Follow it").check();
			const place = async () => new URLSearchParams(page.url().split("?")[1]).get("at");
			await eventually("the address", async () => (await place()) !== null);
			const from = await place();
			await press("Play");
			await eventually("a camera that follows", async () => (await place()) !== from);
			await press("Pause");
			await page.getByRole("button", { name: "Deselect" }).click();
			await eventually("a vehicle in the middle", async () => {
				const box = await map.boundingBox();
				await page.mouse.click(box.x + box.width / 2 - 4, box.y + box.height / 2);
				return inspected.getByText("car 3").isVisible();
			});
			await picture(page, "replay-vehicle");
			for (const by of ["waiting", "class", "pair"]) {
				const before = await seen();
				await page.getByLabel("Vehicles by").selectOption(by);
				await eventually("other colours", async () => (await seen()) !== before);
			}

			const pairs = page.getByRole("group", { name: "Vehicles' colours: Origin and destination" });
			await pairs.getByText("west_in → east_out").waitFor();
			await pairs.getByText("west_in → north_out").waitFor();
			await picture(page, "replay-pairs");

			// Without the table there is a reason in place of figures.
			await page.unroute("**/tables/tripinfo?**");
			await page.route("**/tables/tripinfo?**", (route) => route.fulfill({ status: 404, json: { code: "not_found", title: "Not found", detail: "There is no such table." } }));
			await page.getByLabel("Vehicle", { exact: true }).fill("car 4");
			await press("Find the vehicle");
			await inspected.getByText("No figures of its trip: There is no such table.").waitFor();
			await page.getByLabel("Vehicle", { exact: true }).fill("car 3");
			await press("Find the vehicle");

			// The link leads to the same moment, place and selection.
			await page.getByLabel("Simulated time").fill("150");
			await eventually("the link", async () => page.url().includes("t=150&"));
			await page.getByRole("button", { name: "Copy link" }).click();
			const link = await page.evaluate(() => navigator.clipboard.readText());
			const before = await place();
			await tab.go("#/jobs");
			await heading(page, "Jobs").waitFor();
			await page.goto(link);
			await shows("2:30");
			await inspected.getByText("car 3").waitFor();
			await page.waitForTimeout(700); // longer than the address takes to follow
			assert.equal(await place(), before);

			// A signal, with the pointer: the link of the western approach is in the middle.
			await tab.go(`#/jobs/${job.job_id}/map?t=100&at=292.8,297.5,8`);
			await page.reload();
			await shows("1:40");
			await eventually("a signal", async () => {
				const box = await map.boundingBox();
				await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
				return page.getByRole("region", { name: "Selected signal" }).isVisible();
			});
			await page.getByText(/^rrrGGGgrrrGGGg since 1:30/).waitFor();
			await page.getByRole("img", { name: /now link 0 red, .*link 3 green, with priority/ }).waitFor();
			await picture(page, "replay-signal");

			// What happened leads to its place.
			await page.getByText("1 event: teleports").click();
			await page.getByRole("button", { name: "0:02:00 Teleport of car 5" }).click();
			await shows("1:59"); // the last moment at which it was there
			await page.getByRole("region", { name: "Selected vehicle" }).getByText("car 5").waitFor();
			await assertAccessible(page, "the map of a recording");
		});
	});

	test("records a run, watches it while it goes on and afterwards, and a run of before by its FCD file", async () => {
		const tenant = await newTenant();
		await withTab(tenant, async (page, tab) => {
			await tab.go("#/submit");
			await drop(page, "grid.zip", network("ready_to_use/grid.zip"));
			await page.getByLabel("Recording").check();
			await page.getByLabel("End (s)").fill("3600");
			await page.getByLabel("Step length (s)").fill("0.02"); // slow enough to be watched
			await page.getByRole("button", { name: "Submit", exact: true }).click();
			await heading(page, "grid").waitFor();
			const id = page.url().split("/").at(-1).split("?")[0];
			await tab.go(`#/jobs/${id}/map`);
			await page.getByRole("button", { name: "Live" }).click();
			const slider = page.getByLabel("Simulated time");
			await eventually("vehicles of a run that goes on", async () => Number(await slider.inputValue()) > 60 && /Vehicles: [1-9][\d,]* on/.test(await page.locator(".says").textContent()));
			const index = await service.call("GET", `/jobs/${id}/replay`, { key: tenant.key });
			assert.equal(index.complete, false, "the run ended before it was seen");
			const from = Date.now();
			await eventually("what was stored", async () => Number(await slider.inputValue()) >= index.end - 1);
			assert.ok(Date.now() - from < 20_000, `the page is ${Date.now() - from} ms behind the run`);
			await picture(page, "replay-live");
			await service.call("DELETE", `/jobs/${id}`, { key: tenant.key });
			await service.finish(tenant, id);
			await page.getByRole("button", { name: "Live" }).waitFor({ state: "detached" });
			await page.reload();
			await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor();
			await tab.go(`#/jobs/${id}/results`);
			await page.getByRole("link", { name: "replay.segments" }).waitFor();
			assert.deepEqual(await page.locator("table tr", { has: page.locator("td.grow:empty") }).allInnerTexts(), [], "files without a word on what they hold");
		});
		const job = await service.submit(tenant, "cross", { outputs: "fcd", end: "300" });
		await service.finish(tenant, job.job_id);
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/jobs/${job.job_id}/map?t=200`);
			await page.getByText(/Vehicles: [1-9][\d,]* on the road/).waitFor();
		});
	});

	test("goes from a line of the log to the place", async () => {
		const { tenant, job } = await crossRun();
		await withTab(tenant, async (page, tab) => {
			await page.addInitScript(() => delete globalThis.OffscreenCanvas); // some browsers cannot draw in a worker
			await serveRecording(page, job.job_id, recordedCross({ events: [teleport] }));
			await page.route("**/logs/stream", (route) => route.fulfill({ contentType: "text/event-stream", body: `id: 1\ndata: ${JSON.stringify({ message: teleport.text })}\n\nevent: end\ndata: {}\n\n` }));
			await tab.go(`#/jobs/${job.job_id}/log`);
			await page.getByRole("link", { name: "Teleporting vehicle 'car 5'" }).click();
			await page.getByRole("region", { name: "Selected vehicle" }).getByText("car 5").waitFor();
			await page.locator(".player output", { hasText: "1:59" }).waitFor();
			await page.waitForTimeout(300);
			await picture(page, "replay-teleport");
			await eventually("vehicles", async () => (await coloursOn(page.getByRole("application").locator("canvas").last())) > 2);
			const at = new URLSearchParams(page.url().split("?")[1]).get("at").split(",").map(Number);
			assert.ok(at[0] === 185 && at[1] === 295.2 && at[2] >= 3, `the map shows ${at}`);
		});
	});

	test("plays two runs side by side on one clock and through one camera", async () => {
		const tenant = await newTenant();
		const jobs = await Promise.all(["1", "2"].map((seed) => service.submit(tenant, "cross", { seed })));
		for (const j of jobs) await service.finish(tenant, j.job_id);
		await withTab(tenant, async (page, tab) => {
			await serveRecording(page, jobs[0].job_id, recordedCross());
			await serveRecording(page, jobs[1].job_id, recordedCross({ count: 10 }));
			await tab.go(`#/jobs/${jobs[0].job_id}/map`);
			await page.getByText("Vehicles: 21 on the road").waitFor();
			await page.getByLabel("Beside it").selectOption(jobs[1].job_id);
			await page.getByText(/: 21 on the road\. .*: 11 on the road/).waitFor();
			const drawn = async (map) => (await page.getByRole("application").nth(map).screenshot()).toString("base64");
			const changed = async (how, act) => {
				const before = [await drawn(0), await drawn(1)];
				await act();
				await eventually(how, async () => (await drawn(0)) !== before[0] && (await drawn(1)) !== before[1]);
			};
			await changed("both to zoom", async () => {
				await page.getByRole("application").nth(1).focus();
				await page.keyboard.press("+");
			});
			await changed("both to play", () => page.getByLabel("Simulated time").fill("60"));
			await picture(page, "replay-beside");
			await assertAccessible(page, "two maps");
			await eventually("the link", async () => page.url().includes(`with=${jobs[1].job_id}`));
			await page.reload();
			await page.getByText(/: 21 on the road\. .*: 11 on the road/).waitFor();
		});
	});

	test("saves a picture of a moment and a video of a span", async () => {
		const { tenant, job } = await crossRun();
		await withTab(tenant, async (page, tab) => {
			await serveRecording(page, job.job_id, recordedCross());
			await tab.go(`#/jobs/${job.job_id}/map?t=60`);
			await page.getByText("Vehicles: 21 on the road").waitFor();
			const saved = async (press) => {
				const coming = page.waitForEvent("download");
				await press();
				const download = await coming;
				return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
			};
			const png = await saved(() => page.getByRole("button", { name: "Save picture" }).click());
			assert.equal(png.name, "cross-0.01.00.png");
			keep("replay-saved.png", png.bytes);
			await page.getByRole("button", { name: "Record video" }).click();
			await page.getByLabel("To (s)").fill("75");
			await assertAccessible(page, "the form of a video");
			const webm = await saved(() => page.getByRole("button", { name: "Record", exact: true }).click());
			assert.equal(webm.name, "cross-0.01.00.webm");
			keep("replay-saved.webm", webm.bytes);

			// A page of its own plays it back, since ours may not.
			const player = await tab.context.newPage();
			const played = await player.evaluate(async (base64) => {
				const video = document.createElement("video");
				video.muted = true;
				video.src = URL.createObjectURL(await (await fetch(`data:video/webm;base64,${base64}`)).blob());
				const pictures = new Set();
				const canvas = document.createElement("canvas");
				const ended = new Promise((resolve, reject) => {
					video.onended = resolve;
					video.onerror = () => reject(new Error(video.error.message));
				});
				video.ontimeupdate = () => {
					[canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
					canvas.getContext("2d").drawImage(video, 0, 0);
					pictures.add(canvas.toDataURL());
				};
				await video.play();
				await ended;
				return { pictures: pictures.size, width: video.videoWidth, seconds: video.currentTime };
			}, webm.bytes.toString("base64"));
			await player.close();
			assert.ok(played.pictures > 2 && played.width > 300 && played.seconds > 1, JSON.stringify(played));

			// The moving pictures of the tour are made of single ones.
			const chromium = await tab.context.newCDPSession(page);
			const clip = { x: 0, y: 0, width: 320, height: 200, scale: 1 };
			const taken = [];
			for (const quality of [40, 90]) taken.push(Buffer.from((await chromium.send("Page.captureScreenshot", { format: "webp", quality, clip })).data, "base64"));
			const moving = animation([...taken, taken[0]], clip, 120).toString("base64");
			const read = await page.evaluate(async (base64) => {
				const decoder = new ImageDecoder({ type: "image/webp", data: Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)) });
				await Promise.all([decoder.tracks.ready, decoder.completed]);
				const { frameCount, repetitionCount } = decoder.tracks.selectedTrack;
				const { image } = await decoder.decode({ frameIndex: 2 });
				return { frameCount, again: repetitionCount === Infinity, each: image.duration, width: image.displayWidth, height: image.displayHeight };
			}, moving);
			assert.deepEqual(read, { frameCount: 3, again: true, each: 120_000, width: 320, height: 200 });
		});
	});

	test("follows a run by its stream, without that by looking, and starts over when the run does", async () => {
		const tenant = await newTenant();
		const job = await service.submit(tenant, "cross", { step_length: "0.002", end: "100000000", replay: "true" }); // goes on for as long as this takes
		await withTab(tenant, async (page, tab) => {
			const whole = recordedCross({ complete: false, attempt: "1" });
			const upTo = (n, of = whole) => ({ index: { ...of.index, segments: of.index.segments.slice(0, n), end: of.index.segments[n - 1].end }, bodies: of.bodies });
			const made = upTo(1);
			await serveRecording(page, job.job_id, made);
			const waiting = []; // the stream, whose next answer is an event
			await page.route("**/logs/stream", (route) => waiting.push(route));
			const announce = async () => {
				const stream = await eventually("the stream", () => waiting.pop());
				await stream.fulfill({ contentType: "text/event-stream", body: "event: replay\ndata:{}\n\n" });
			};
			const looks = [];
			page.on("request", (r) => r.url().endsWith(`/jobs/${job.job_id}/replay`) && looks.push(r));
			await tab.go(`#/jobs/${job.job_id}/map`);
			await page.getByText("Vehicles: 21 on the road").waitFor();
			await page.getByRole("button", { name: "Live" }).click();
			const reached = (time) => eventually(`${time} s`, async () => Number(await page.getByLabel("Simulated time").inputValue()) > time);
			await reached(55);
			const shownSoon = async (segments, time, how) => {
				const from = Date.now();
				Object.assign(made, upTo(segments));
				await how?.();
				await reached(time);
				assert.ok(Date.now() - from < 20_000, `it took ${Date.now() - from} ms to show what had come`);
			};
			await shownSoon(2, 110); // the stream has not answered yet
			await announce();
			await eventually("no look at the index while the stream has nothing", async () => {
				const before = looks.length;
				await page.waitForTimeout(1200); // longer than between two looks
				return looks.length === before;
			});
			await shownSoon(3, 170, announce);
			Object.assign(made, upTo(1, recordedCross({ complete: false, attempt: "2", count: 7 })));
			await announce();
			await page.getByText("Vehicles: 8 on the road").waitFor();
		});
		await service.call("DELETE", `/jobs/${job.job_id}`, { key: tenant.key });
	});

	test("sees hostile ids as text, and a message in place of a broken part", async () => {
		const { tenant, job } = await crossRun();
		const hostile = `<img src=x onerror="document.title='taken'">\u202e\u0000${"x".repeat(10_000)}`;
		const frames = crossFrames(3).map((f) => ({ ...f, vehicles: f.vehicles.map((v) => (v.id === "car 1" ? { ...v, id: hostile, type: hostile, lane: `${hostile}_0` } : v)) }));
		const made = recording(frames, { events: [{ time: 5, kind: hostile, vehicle: hostile, edge: hostile, x: 1, y: 1, text: hostile }], signals: { [hostile]: () => hostile } });
		made.bodies[1] = made.bodies[1].subarray(0, made.bodies[1].length / 2);
		made.bodies[2] = Buffer.from(made.bodies[2]).fill(7, 20, 60);
		await withTab(tenant, async (page, tab) => {
			await serveRecording(page, job.job_id, made);
			await tab.go(`#/jobs/${job.job_id}/map?t=5`);
			await page.getByText("Vehicles: 4 on the road").waitFor();
			await page.getByText("1 event: teleports").click();
			await page.getByRole("button", { name: /Teleport|<img/ }).click();
			await page.getByRole("region", { name: "Selected vehicle" }).getByText("<img src=x").first().waitFor();
			assert.equal(await page.locator("img").count(), 0);
			await assertFits(page, "a map with hostile ids");
			await picture(page, "replay-hostile");
			await page.getByLabel("Simulated time").fill("70");
			await page.getByRole("alert").getByText("cannot be shown from 1:00 to 1:59").waitFor();
			await picture(page, "replay-broken");
			await page.getByLabel("Simulated time").fill("130");
			await page.getByRole("alert").getByText("cannot be shown from 2:00 to 2:59").waitFor();
			await page.getByLabel("Simulated time").fill("50");
			await page.getByLabel("Playback speed").selectOption("200");
			await page.getByRole("button", { name: "Play", exact: true }).click();
			await page.locator(".player output", { hasText: "4:59" }).waitFor(); // it plays on over the broken parts
			assert.notEqual(await page.title(), "taken");
		});
	});

	test("does all of it with the keyboard alone", async () => {
		const tenant = await newTenant();
		await withTab(null, async (page, tab) => {
			// Well before it opens: the browser needs a moment until it hands the chooser to the test instead of showing it.
			const chooser = page.waitForEvent("filechooser");
			await tab.go("");
			await heading(page, "Sign in").waitFor();
			const press = async (...keys) => {
				for (const key of keys) await page.keyboard.press(key);
			};
			const focused = () => page.evaluate(() => document.activeElement?.textContent || document.activeElement?.getAttribute("aria-label") || document.activeElement?.id);
			await page.keyboard.type(tenant.key);
			await press("Enter");
			await heading(page, "Jobs").waitFor();
			await press("Tab");
			assert.equal(await focused(), "Submit a job");
			await press("Enter");
			await heading(page, "Submit a job").waitFor();
			await press("Tab", "Tab"); // where the scenario comes from, then the zip
			assert.equal(await focused(), "scenario-zip");
			await press("Space");
			await (await chooser).setFiles({ name: "square.zip", mimeType: "application/zip", buffer: network("ready_to_use/square.zip") });
			await page.getByLabel("Name", { exact: true }).focus();
			await press("Enter");
			await heading(page, "square").waitFor();
			await page.locator(".pill.succeeded").waitFor();
			await page.reload();
			await heading(page, "square").waitFor();
			await page.getByText("Mean speed").waitFor(); // the whole view is there, and none of it has moved where Tab starts
			await press("Tab");
			assert.equal(await focused(), "Skip to content");
			await press("Enter");
			assert.equal(await focused(), "square");
		});
	});

	test("plans a study while typing, watches its points, and takes a sentence and the runs from it", async () => {
		const tenant = await newTenant({ max_concurrent_jobs: 4 });
		await service.store(tenant, "square");
		await withTab(tenant, async (page) => {
			await page.getByRole("link", { name: "Scenarios", exact: true }).click();
			await page.getByRole("link", { name: "square", exact: true }).click();
			await page.getByText("any version of SUMO on offer").waitFor();
			await page.getByRole("link", { name: "Start a study" }).click();
			await heading(page, "New study").waitFor();

			// What the study would be follows each change; a fault is at its field.
			const cost = page.getByLabel("What the study would be");
			await cost.getByText("1 point × 10 replications = 10 runs").waitFor();
			await page.getByLabel("Name", { exact: true }).fill("more demand");
			await page.getByRole("button", { name: "Add an axis" }).click();
			await page.getByLabel("Values of axis 1").fill("1, 4, 4");
			await page.locator(".field.faulty", { has: page.getByLabel("Values of axis 1") }).getByText("is there twice").waitFor();
			await page.getByLabel("Values of axis 1").fill("1, 4");
			await page.getByLabel("Seeds", { exact: true }).fill("1:4");
			await cost.getByText("2 points × 4 replications = 8 runs").waitFor();
			await page.getByLabel("Until the means are exact").check();
			await page.getByLabel("Most runs").fill("12");
			await cost.getByText("10 runs in the first round, 24 at most").waitFor();
			await page.getByLabel("Most runs").fill("2");
			await page.locator(".field.faulty", { has: page.getByLabel("Most runs") }).getByText("at least min").waitFor();
			await page.getByLabel("These seeds").check();
			await page.getByLabel("demand", { exact: true }).selectOption("1"); // the baseline's
			await page.getByRole("button", { name: "Start the study" }).click();

			await heading(page, "more demand").waitFor();
			await page.locator(".pill.succeeded").waitFor();
			await page.getByRole("link", { name: /^base, demand 1: [\d.]+ ± [\d.]+ n = 4/ }).waitFor();

			// Numbers of one metric never stand below the name of another.
			await page.route("**/statistics?metric=mean_travel_time", (route) => route.abort());
			await page.getByLabel("Metric").selectOption("mean_travel_time");
			await page.getByRole("alert").getByText("unreachable").waitFor();
			await page.getByRole("link", { name: /^base, demand 1: – n = 4/ }).waitFor();
			await page.unroute("**/statistics?metric=mean_travel_time");
			await page.getByRole("button", { name: "Try again" }).click();
			await page.getByRole("link", { name: /^base, demand 1: [\d.]+ ± [\d.]+ n = 4/ }).waitFor();
			await page.getByLabel("Metric").selectOption("mean_time_loss");

			await page.getByRole("link", { name: "Comparison", exact: true }).click();
			const sentence = page.locator(".sentences li").first();
			await sentence.getByText(/^Mean time loss of base, demand 4 .*higher by .* s .*n = 4/).waitFor();
			await sentence.getByText("worse", { exact: true }).waitFor();
			await sentence.getByRole("button", { name: "Copy the sentence" }).click();
			await page.getByText("Copied the sentence.").waitFor();
			assert.match(await page.evaluate(() => navigator.clipboard.readText()), /higher by/);

			await page.getByRole("link", { name: "Plots", exact: true }).click();
			await eventually("the plots", async () => {
				const drawn = await page.locator("img.plot").evaluateAll((all) => all.filter((i) => i.naturalWidth > 0).length);
				return drawn === 4;
			});

			await page.getByRole("link", { name: "Points", exact: true }).click();
			await page.getByRole("link", { name: /^base, demand 1:/ }).focus();
			await page.keyboard.press("ArrowRight");
			await page.keyboard.press("Enter");
			await heading(page, "base, demand 4").waitFor();
			await page.getByRole("link", { name: "Seed 4 of base, demand 4" }).waitFor();
			await page.getByRole("link", { name: "All points of more demand" }).click();

			const table = page.waitForEvent("download");
			await page.getByRole("button", { name: "Table (CSV)" }).click();
			assert.match(readFileSync(await (await table).path(), "utf8"), /mean_time_loss/);

			await page.getByRole("button", { name: "Extend…" }).click();
			const dialog = page.getByRole("dialog");
			assert.equal(await dialog.getByLabel("Seeds to add").inputValue(), "5:8");
			await page.keyboard.press("Escape");
			await dialog.waitFor({ state: "hidden" });
			await page.getByRole("button", { name: "Extend…" }).click();
			await dialog.getByLabel("Seeds to add").fill("5:6");
			await page.keyboard.press("Enter");
			await page.getByText("Extended the study.").waitFor();
			await page.getByRole("link", { name: /^base, demand 4: [\d.]+ ± [\d.]+ n = 6/ }).waitFor();
			await page.locator(".pill.succeeded").waitFor();

			await page.getByRole("button", { name: "Delete…" }).click();
			await dialog.getByRole("button", { name: "Delete" }).click();
			await page.getByText("There are no studies yet.").waitFor();
		});
	});

	test("plans a study of a controller's arguments", async () => {
		const tenant = await newTenant({ controllers: true });
		await service.store(tenant, "square", { "control.py": "import traci\n" });
		await withTab(tenant, async (page, tab) => {
			await tab.go("#/studies/new");
			await page.getByLabel("Scenario of variant 1").selectOption({ index: 1 });
			const cost = page.getByLabel("What the study would be");
			await cost.getByText("1 point × 10 replications = 10 runs").waitFor();
			assert.equal(await page.getByLabel("Arguments").count(), 0, "SUMO alone has arguments");
			await page.getByRole("button", { name: "Add an axis" }).click();
			await page.getByLabel("Name of axis 1").fill("gain");
			await page.getByLabel("Kind of axis 1").selectOption("Program argument");
			await page.getByLabel("What axis 1 sets").fill("gain");
			await page.getByLabel("Values of axis 1").fill("0.2, 0.4");
			await page.locator(".field.faulty", { has: page.getByLabel("What axis 1 sets") }).getByText("there is none").waitFor();
			await page.getByLabel("Program", { exact: true }).fill("other.py");
			await page.locator(".field.faulty", { has: page.getByLabel("Program", { exact: true }) }).getByText("is not in the scenario").waitFor();
			await page.getByLabel("Program", { exact: true }).fill("control.py");
			await page.getByLabel("Interface").selectOption("libsumo");
			await page.getByLabel("Arguments").fill("--gain\n0.1");
			await cost.getByText("2 points × 10 replications = 20 runs").waitFor();
			await assertAccessible(page);
		});
		const other = await newTenant();
		await service.store(other, "square");
		await withTab(other, async (page, tab) => {
			await tab.go("#/studies/new");
			await page.getByRole("button", { name: "Add an axis" }).click();
			assert.equal(await page.getByLabel("Program").count(), 0, "a tenant that may not is offered programs");
			assert.doesNotMatch(await page.getByLabel("Kind of axis 1").innerText(), /argument/);
		});
	});

	test("sees which runs of a study are missing and why, and cancels one", async () => {
		const tenant = await newTenant({ max_concurrent_jobs: 4 });
		const scenario = await service.store(tenant, "square");
		const plan = { variants: [{ name: "base", scenario }], metrics: ["mean_time_loss"], replications: { seeds: "1:2" } };
		const late = { step_length: 0.02, end: 100_000_000 };
		const failing = await service.study(tenant, { ...plan, name: "late", variants: [...plan.variants, { name: "endless", scenario, run: { ...late, timeout_seconds: 2 } }] });
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/studies/${failing.study_id}`);
			await page.getByText("2 runs missing", { exact: true }).waitFor();
			await page.getByRole("link", { name: /^endless: .*2 missing/ }).click();
			await page.getByText("2 runs missing: 2 × DeadlineExceeded").waitFor();
			await page.getByText("means over the rest look better than they are").waitFor();

			const { study_id: id } = await service.call("POST", "/studies", { key: tenant.key, json: { ...plan, name: "endless", run: late } });
			await tab.go(`#/studies/${id}`);
			await page.getByText(/^0 of 2 runs, \d running$/).waitFor();
			await page.getByRole("button", { name: "Cancel" }).click();
			await page.locator(".pill.cancelled").waitFor();
			await page.getByRole("button", { name: "Retry missing runs" }).waitFor();
			await tab.go("#/studies");
			await page.getByLabel("Status").selectOption("INCOMPLETE");
			await page.getByRole("row", { name: /^late/ }).waitFor();
			await eventually("the one study that is left", async () => (await page.locator("table.studies tbody tr").count()) === 1);
		});
	});

	test("takes results from the cache, and sees of each study how many did", async () => {
		const tenant = await newTenant();
		const scenario = await service.store(tenant, "square");
		const plan = { variants: [{ name: "base", scenario }], metrics: ["mean_time_loss"], replications: { seeds: "1:2" } };
		await service.study(tenant, { ...plan, name: "first" });
		await service.study(tenant, { ...plan, name: "again" });
		await withTab(tenant, async (page, tab) => {
			await tab.go("#/studies");
			await page.getByRole("row").filter({ hasText: "again" }).getByText("2 from the cache", { exact: true }).waitFor();
			assert.equal(await page.getByText("from the cache").count(), 1);

			await tab.go(`#/studies/new/${scenario}`);
			await page.getByLabel("Edge data").uncheck();
			await page.getByLabel("Seeds", { exact: true }).fill("1:3");
			const cost = page.getByLabel("What the study would be");
			await cost.getByText("1 point × 3 replications = 3 runs, 2 from the cache").waitFor();
			await page.getByLabel("Cache").selectOption("refresh");
			await cost.getByText(/= 3 runs$/).waitFor();

			for (const cache of ["refresh", "use"]) {
				await tab.go(`#/submit/scenario/${scenario}`);
				await page.getByLabel("Edge data").uncheck();
				await page.getByLabel("Cache").selectOption(cache);
				await page.getByRole("button", { name: "Submit" }).click();
				await page.locator(".pill.succeeded").waitFor();
				assert.equal(await page.getByText("From the cache", { exact: true }).count(), cache === "use" ? 1 : 0);
			}
		});
	});

	test("derives a scenario from changed files, submits it, and deletes it", async () => {
		const tenant = await newTenant();
		const id = await service.store(tenant, "corridor");
		await withTab(tenant, async (page, tab) => {
			await tab.go(`#/scenarios/${id}`);
			await heading(page, "corridor").waitFor();
			const vtypes = '<additional><vType id="car" vClass="passenger" sigma="0.9"/><vType id="truck" vClass="truck"/></additional>';
			const files = page.locator("#changed-files");
			await files.setInputFiles({ name: "vtypes.add.xml", mimeType: "text/xml", buffer: Buffer.from("<additional><vType") });
			assert.equal(await page.getByLabel("Path of vtypes.add.xml").inputValue(), "additional/vtypes.add.xml");
			await page.getByRole("button", { name: "Derive" }).click();
			await page.getByRole("alert").getByText("additional/vtypes.add.xml:1", { exact: true }).waitFor();
			await files.setInputFiles({ name: "vtypes.add.xml", mimeType: "text/xml", buffer: Buffer.from(vtypes) });
			await page.getByLabel("Name", { exact: true }).fill("corridor, dawdling");
			await page.getByRole("button", { name: "Derive" }).click();

			await heading(page, "corridor, dawdling").waitFor();
			await page.getByText("Changed: additional/vtypes.add.xml").waitFor();
			await page.getByRole("link", { name: "Submit a job" }).click();
			await holds(page.getByLabel("Name", { exact: true }), "corridor, dawdling");
			await page.getByLabel("End (s)").fill("60");
			await page.getByRole("button", { name: "Submit", exact: true }).click();
			await page.locator(".pill.succeeded").waitFor();

			await page.getByRole("link", { name: "Scenarios", exact: true }).click();
			await page.getByText("derived, 1 file other than in").waitFor();
			await page.getByRole("link", { name: "corridor, dawdling" }).click();
			await page.getByRole("cell", { name: "Succeeded" }).waitFor();
			await page.getByRole("button", { name: "Delete…" }).click();
			await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
			await page.getByText("Scenario deleted.").waitFor();
			await eventually("the one scenario that is left", async () => (await page.locator("table.scenarios tbody tr").count()) === 1);
		});
	});

	test("sees that the service is unavailable, and continues once it is back", async () => {
		await withTab(await newTenant(), async (page, tab) => {
			let down = true;
			await tab.context.route("**/jobs?*", (route) =>
				down
					? route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ title: "Service Unavailable", status: 503, code: "unavailable", detail: "The database does not answer." }) })
					: route.continue(),
			);
			await page.reload();
			await page.getByText("The database does not answer.").waitFor();
			down = false;
			await page.getByRole("button", { name: "Try again" }).click();
			await page.getByText("There are no jobs yet.").waitFor();
			await tab.go("#/jobs/00000000-0000-7000-8000-000000000000");
			await page.getByRole("alert").waitFor();
			await tab.go("#/elsewhere");
			await heading(page, "Not found").waitFor();
		});
	});
});

describe("an operator", () => {
	test("creates a tenant, lowers its limit, and sees its queue grow", async () => {
		const name = `city-${++serial}`;
		await withTab(operator(), async (page) => {
			await page.getByRole("link", { name: "Tenants", exact: true }).click();
			await page.getByRole("button", { name: "Create a tenant" }).click();
			const dialog = page.getByRole("dialog");
			await dialog.getByLabel("Name").fill(name);
			await dialog.getByLabel("Concurrent jobs").fill("3");
			await dialog.getByRole("button", { name: "Create" }).click();
			const key = await dialog.locator(".key code").textContent();
			assert.match(key, /^sk-/);
			await dialog.getByRole("button", { name: "Copy the key" }).click();
			assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
			await dialog.getByRole("button", { name: "I have stored it" }).click();
			assert.ok(!(await page.content()).includes(key), "the key is still on the page");

			await page.getByRole("button", { name: "Create a tenant" }).click();
			await dialog.getByLabel("Name").fill(name);
			await dialog.getByRole("button", { name: "Create" }).click();
			await dialog.getByRole("alert").waitFor(); // the name is taken
			await page.keyboard.press("Escape");

			await page.getByRole("button", { name: `Limits of ${name}` }).click();
			await dialog.getByLabel("Concurrent jobs").fill("1");
			await dialog.getByLabel("Controllers and tools").check();
			await dialog.getByRole("button", { name: "Set limits" }).click();
			await page.getByText(`Updated the limits of ${name}.`).waitFor();
			await page.getByRole("row", { name: new RegExp(`^${name}.*allowed`) }).waitFor();

			const tenant = { id: name, key };
			for (let i = 0; i < 3; i++) await service.submit(tenant, "grid", slow);
			await page.getByRole("link", { name: "Overview" }).click();
			const row = page.getByRole("row", { name: new RegExp(`^${name} 2 .*1 of 1`) });
			await row.waitFor();
			await picture(page, "queue");
			await page.getByRole("link", { name: "Jobs", exact: true }).click();
			await page.getByLabel("Status").selectOption({ label: "Queued" });
			await page.getByRole("row", { name: new RegExp(`${name} grid.*Queued`) }).nth(1).waitFor();

			await page.getByRole("link", { name: "Tenants", exact: true }).click();
			await page.getByRole("button", { name: `Delete ${name}` }).click();
			await dialog.getByLabel(`Type ${name} to confirm`).fill(name);
			await dialog.getByRole("button", { name: "Delete" }).click();
			await dialog.getByRole("alert").waitFor(); // it has queued and running jobs
			await dialog.getByLabel("Cancel queued and running jobs").check();
			await dialog.getByRole("button", { name: "Delete" }).click();
			await page.getByText(`Deleted ${name}.`).waitFor();
		});
	});

	test("issues a new key, which revokes the old one", async () => {
		const tenant = await newTenant();
		await withTab(operator(), async (page, tab) => {
			await tab.go("#/tenants");
			await page.getByRole("button", { name: `New key for ${tenant.id}` }).click();
			await page.getByRole("dialog").getByRole("button", { name: "Issue a new key" }).click();
			const key = await page.getByRole("dialog").locator(".key code").textContent();
			await service.call("GET", "/tenants/me/dashboard", { key });
			await assert.rejects(service.call("GET", "/tenants/me/dashboard", { key: tenant.key }), /401/);
		});
	});

	test("sees of a study's runs what counts towards the tenant's limit", async () => {
		const tenant = await newTenant({ max_concurrent_jobs: 1 });
		const scenario = await service.store(tenant, "square");
		const plan = { name: "endless", variants: [{ name: "base", scenario }], replications: { seeds: "1:8" }, run: { step_length: 0.02, end: 100_000_000 } };
		const { study_id: id } = await service.call("POST", "/studies", { key: tenant.key, json: plan });
		const mine = async () => (await service.call("GET", "/admin/queue")).tenants.find((t) => t.tenant_id === tenant.id);
		await eventually("runs that share a place", async () => ((t) => t && t.pending + t.running > 1)(await mine()));
		await withTab(operator(), async (page) => {
			await page.getByRole("row", { name: new RegExp(`^${tenant.id} 0 – 1 of 1 `) }).waitFor();
		});
		await service.call("DELETE", `/studies/${id}`, { key: tenant.key });
	});

	test("sees failures by reason", async () => {
		const tenant = await newTenant();
		const { job_id: id } = await service.submit(tenant, "grid", { ...slow, timeout_seconds: "1" });
		await service.finish(tenant, id);
		await withTab(operator(), async (page) => {
			await page.getByRole("rowheader", { name: "DeadlineExceeded" }).waitFor();
			await page.getByRole("img", { name: /^In 60 minutes \d+ jobs were submitted/ }).waitFor();
		});
	});
});

describe("every view", () => {
	let tenant;
	let ids;
	let old;
	let scenario;
	let steered;
	let study;

	before(async () => {
		tenant = await service.register("gallery-of-the-planning-office-of-a-large-city", { max_concurrent_jobs: 2, controllers: true });
		for (const [url, enabled] of [["https://localhost:1/planning/sumo-k8", true], ["https://localhost:1/archive", false]]) {
			await service.call("POST", "/webhooks", { key: tenant.key, json: { url, enabled } });
		}
		old = await importJob(tenant);
		const jobs = await Promise.all([
			service.submit(tenant, "corridor", { outputs: "edgedata,fcd,emission", seed: "1" }),
			service.submit(tenant, "corridor", { outputs: "edgedata", seed: "1", scale: "1.2", scenario_id: "w".repeat(100) }),
			service.submit(tenant, "grid", { ...slow, timeout_seconds: "1" }),
		]);
		ids = jobs.map((j) => j.job_id);
		scenario = await service.store(tenant, "square");
		steered = await service.store(tenant, "square", { "control.py": "import traci\n" });
		study = await service.study(tenant, {
			name: "demand and patience",
			variants: [{ name: "base", scenario }, { name: "endless", scenario, run: { step_length: 0.02, end: 100_000_000, timeout_seconds: 3 } }],
			axes: [{ name: "demand", set: "scale", values: [1, 2] }],
			baseline: { values: { demand: 1 } },
			replications: { seeds: "1:3" },
			metrics: ["mean_time_loss", "mean_travel_time"],
			run: { outputs: ["edgedata"] },
		});
		await Promise.all(ids.map((id) => service.finish(tenant, id)));
	});

	const views = {
		jobs: { hash: () => "#/jobs", ready: (page) => page.locator("table.jobs").waitFor() },
		submit: {
			hash: () => "#/submit",
			async ready(page) {
				await page.locator("#scenario-zip").setInputFiles({ name: "several_faults.zip", mimeType: "application/zip", buffer: network("broken/several_faults.zip") });
				await page.getByRole("button", { name: "Submit" }).click();
				await page.getByRole("alert").waitFor();
			},
		},
		summary: { hash: () => `#/jobs/${ids[0]}`, ready: (page) => page.getByText("Mean speed").waitFor() },
		log: { hash: () => `#/jobs/${ids[0]}/log`, ready: (page) => page.getByText("sumo-run: succeeded").waitFor() },
		plots: {
			hash: () => `#/jobs/${ids[0]}/plots`,
			async ready(page) {
				await page.getByRole("img", { name: /^Fuel of all vehicles over/ }).waitFor();
				await page.getByRole("img", { name: /^Time loss/ }).waitFor();
			},
		},
		map: {
			hash: () => `#/jobs/${ids[0]}/map`,
			async ready(page) {
				await page.getByLabel("Simulated time").fill("1980");
				await page.getByText(/Vehicles: [\d,]+ on the road/).waitFor();
				await page.getByLabel("Colour by").selectOption({ label: "Density (veh/km)" });
				await page.getByRole("button", { name: "C0D0", exact: true }).or(page.locator(".edges button.link").first()).first().click();
				await page.getByRole("button", { name: "Show all" }).click();
			},
		},
		counts: {
			hash: () => `#/jobs/${ids[0]}/counts`,
			async ready(page) {
				await drop(page, "counts.csv", Buffer.from("edge,hour,count\nleft0A0,0,400\nright0E0,0,900\nno-such,0,1\n"), "text/csv");
				await eventually("the plot", () => page.locator("img.plot").evaluate((i) => i.naturalWidth > 0));
			},
		},
		results: { hash: () => `#/jobs/${ids[0]}/results`, ready: (page) => page.getByRole("button", { name: "Download fcd as Parquet" }).waitFor() },
		events: { hash: () => `#/jobs/${ids[0]}/events`, ready: (page) => page.getByRole("cell", { name: "Queued" }).waitFor() },
		failed: { hash: () => `#/jobs/${ids[2]}`, ready: (page) => page.getByText("DeadlineExceeded.").waitFor() },
		imported: { hash: () => `#/jobs/${old.id}`, ready: (page) => page.getByText(old.where, { exact: true }).waitFor() },
		compare: { hash: () => `#/compare/${ids[0]},${ids[1]}`, ready: (page) => page.getByRole("img", { name: /^Time loss/ }).waitFor() },
		choose: { hash: () => "#/compare", ready: (page) => page.getByRole("checkbox").first().waitFor() },
		studies: { hash: () => "#/studies", ready: (page) => page.locator("table.studies").waitFor() },
		"new-study": {
			hash: () => `#/studies/new/${scenario}`,
			async ready(page) {
				await page.getByRole("button", { name: "Add an axis" }).click();
				await page.getByText("3 points × 10 replications = 30 runs").waitFor();
				await page.getByLabel("Seeds", { exact: true }).fill("10:1");
				await page.locator(".field.faulty").waitFor();
			},
		},
		"new-study-controller": {
			hash: () => `#/studies/new/${steered}`,
			async ready(page) {
				await page.getByLabel("Program", { exact: true }).fill("control.py");
				await page.getByLabel("Arguments").fill("--gain\n0.4");
				await page.getByRole("button", { name: "Add an axis" }).click();
				await page.getByLabel("Name of axis 1").fill("gain");
				await page.getByLabel("Kind of axis 1").selectOption("Program argument");
				await page.getByLabel("What axis 1 sets").fill("gain");
				await page.getByText("3 points × 10 replications = 30 runs").waitFor();
			},
		},
		points: { hash: () => `#/studies/${study.study_id}`, ready: (page) => page.getByRole("link", { name: /^base, demand 2: [\d.]+ ±/ }).waitFor() },
		point: { hash: () => `#/studies/${study.study_id}/points/3`, ready: (page) => page.getByRole("link", { name: /^Seed 1 of/ }).waitFor() },
		sentences: { hash: () => `#/studies/${study.study_id}/comparison`, ready: (page) => page.locator(".sentences li").first().waitFor() },
		"study-plots": {
			hash: () => `#/studies/${study.study_id}/plots`,
			ready: (page) => eventually("the plots", () => page.locator("img.plot").evaluateAll((all) => all.filter((i) => i.naturalWidth > 0).length === 4)),
		},
		"study-map": {
			hash: () => `#/studies/${study.study_id}/map`,
			async ready(page) {
				await page.getByText(/^\d+ edges of \d+ told apart from chance in this interval/).waitFor();
				await page.getByLabel("Measure").focus(); // which it keeps while another measure loads
				await page.getByLabel("Measure").selectOption("speed");
				await page.getByText("Speed: difference").first().waitFor();
				assert.equal(await page.evaluate(() => document.activeElement.closest("label")?.textContent.startsWith("Measure")), true);
				await page.getByLabel("Measure").selectOption("timeLoss");
				await page.getByText("Time loss: difference").first().waitFor();
				await page.getByLabel("Also differences").check();
				await page.locator(".edges button.link").first().click();
			},
		},
		plan: { hash: () => `#/studies/${study.study_id}/plan`, ready: (page) => page.getByText("3 seeds so far").waitFor() },
		scenarios: { hash: () => "#/scenarios", ready: (page) => page.locator("table.scenarios").waitFor() },
		scenario: { hash: () => `#/scenarios/${scenario}`, ready: (page) => page.getByText("No job has run this scenario by itself.").or(page.getByRole("cell", { name: "Succeeded" })).first().waitFor() },
		webhooks: { hash: () => "#/webhooks", ready: (page) => page.locator("table.deliveries").waitFor() },
		overview: { operator: true, hash: () => "#/overview", ready: (page) => page.getByRole("img", { name: /^In 60 minutes/ }).waitFor() },
		tenants: { operator: true, hash: () => "#/tenants", ready: (page) => page.getByRole("cell", { name: /^gallery/ }).waitFor() },
		create: {
			operator: true,
			hash: () => "#/tenants",
			async ready(page) {
				await page.getByRole("button", { name: "Create a tenant" }).click();
				await page.getByRole("dialog").waitFor();
			},
		},
		"all-jobs": {
			operator: true,
			hash: () => "#/all-jobs",
			async ready(page) {
				const id = page.locator("td.tenant", { hasText: tenant.id }).first();
				await id.waitFor();
				const lines = await id.evaluate((e) => {
					const text = document.createRange();
					text.selectNodeContents(e);
					return new Set([...text.getClientRects()].map((r) => r.top)).size;
				});
				assert.ok(lines <= 3, `the tenant's id takes ${lines} lines`);
			},
		},
	};

	for (const [look, settings] of Object.entries(looks)) {
		test(`fits, is accessible, and has its picture taken: ${look}`, async () => {
			await withTab(
				null,
				async (page, tab) => {
					await tab.go("");
					await heading(page, "Sign in").waitFor();
					await assertAccessible(page, "sign-in");
					await picture(page, `sign-in-${look}`);
				},
				settings,
			);
			for (const who of [tenant, operator()]) {
				await withTab(
					who,
					async (page, tab) => {
						for (const [name, view] of Object.entries(views)) {
							if (Boolean(view.operator) !== (who.kind === "admin")) continue;
							await tab.go(view.hash());
							await page.reload(); // as after following a link
							await view.ready(page);
							await page.evaluate(() => document.fonts.ready);
							await picture(page, `${name}-${look}`);
							await assertFits(page, `${name} (${look})`);
							await assertAccessible(page, `${name} (${look})`);
						}
					},
					settings,
				);
			}
		});
	}

	test("matches the plots that the service draws for reports", async () => {
		const { plots } = await service.call("GET", `/jobs/${ids[0]}/plots`, { key: tenant.key });
		assert.deepEqual(plots.map((p) => p.name), ["vehicles", "speed", "travel_time", "time_loss", "waiting_time", "emissions"]);
		const draw = async (file, address) => {
			const answer = await fetch(service.url + address, { headers: { Authorization: `Bearer ${tenant.key}` } });
			assert.equal(answer.status, 200, address);
			keep(file, Buffer.from(await answer.arrayBuffer()));
		};
		for (const { name, svg, png } of plots) {
			await draw(`plot-${name}.svg`, svg);
			await draw(`plot-${name}-dark.png`, `${png}?theme=dark`);
			if (name !== "emissions") await draw(`plot-${name}-compared.png`, `${png}?with=${ids[1]}`); // the other run has none
		}
	});

	test("keeps the chosen theme", async () => {
		await withTab(tenant, async (page) => {
			const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
			const light = await ground();
			await page.getByLabel("Theme").selectOption("dark");
			assert.notEqual(await ground(), light);
			await page.reload();
			await heading(page, "Jobs").waitFor();
			assert.notEqual(await ground(), light);
			await page.getByLabel("Theme").selectOption("system");
			assert.equal(await ground(), light);
		});
	});
});

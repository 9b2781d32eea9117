// The browser that tests the page, and what must hold for every view in it.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { root } from "./service.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const program = ["chromium", "chromium-browser", "google-chrome"]
	.flatMap((name) => (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)))
	.find(existsSync);

/** Stops the browser's own network requests. WebGL is drawn by software, which browsers no longer do by themselves. */
const quiet = ["--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function startBrowser(more = []) {
	assert.ok(program, "there is no Chromium in PATH: run infra/debian/install.sh chromium");
	// Chromium's sandbox refuses root, and CI runs as root.
	return chromium.launch({ executablePath: program, args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), ...quiet, ...more] });
}

export const looks = {
	light: { colorScheme: "light", viewport: { width: 1280, height: 860 } },
	dark: { colorScheme: "dark", viewport: { width: 1280, height: 860 } },
	phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

/**
 * Opens an isolated tab and watches it: stop() fails if the page logged an error or sent a request to another host.
 */
export async function openTab(browser, service, look = looks.light) {
	const context = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Vienna", reducedMotion: "reduce", acceptDownloads: true, ...look });
	await context.grantPermissions(["clipboard-read", "clipboard-write"]);
	const page = await context.newPage();
	page.setDefaultTimeout(90_000); // milliseconds; on an idle machine everything takes a second or two
	const faults = [];
	page.on("pageerror", (error) => faults.push(error.stack ?? String(error)));
	page.on("console", (message) => {
		if (!["error", "warning"].includes(message.type())) return;
		// The browser logs this for every error response, and some tests provoke those.
		if (message.text().startsWith("Failed to load resource")) return;
		if (message.text().includes("GPU stall due to ReadPixels")) return; // tests and pictures read canvases back
		faults.push(message.text());
	});
	page.on("request", (request) => {
		const url = new URL(request.url());
		if (url.protocol.startsWith("http") && url.origin !== service.url && !request.isNavigationRequest()) faults.push(`a request to ${url.origin}`);
	});
	return {
		page,
		context,
		go: (hash) => page.goto(`${service.url}/${hash}`),
		async signIn(key, kind = "tenant") {
			await page.goto(service.url);
			if (kind === "admin") await page.getByLabel("Operator, with the admin key").check();
			await page.getByLabel(kind === "admin" ? "Admin key" : "API key", { exact: true }).fill(key);
			await page.getByRole("button", { name: "Sign in" }).click();
			await page.getByRole("button", { name: "Sign out" }).waitFor();
		},
		async stop() {
			await context.close();
			assert.deepEqual(faults, [], "the page logged errors");
		},
	};
}

/** Fails if axe finds a barrier for people who use a screen reader or a keyboard, or who see poorly. */
export async function assertAccessible(page, view) {
	await page.evaluate(axe); // through the debugger, so that the page's policy stays in force
	const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
	assert.deepEqual(
		violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary ?? ""}`).join(" | ")}`),
		[],
		`${view} is not accessible`,
	);
}

export async function assertFits(page, view) {
	const screen = page.viewportSize().width;
	const inside = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(inside <= screen, `${view} is ${inside} pixels wide on a screen of ${screen}`);
	// What sticks out of its card makes the page no wider.
	const cut = await page.evaluate(() => {
		const scrolls = (e) => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
		const edge = (e) => e.closest(".card")?.getBoundingClientRect().right ?? innerWidth;
		return [...document.querySelectorAll("a, button, input, select, textarea, img")]
			.filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > edge(e) + 1 && !scrolls(e.parentElement))
			.map((e) => e.outerHTML.slice(0, 200));
	});
	assert.deepEqual(cut, [], `${view} has what is wider than its card`);
}

const pictures = join(root, ".local", "screenshots");

/** Keeps a file beside the pictures of the run, for review. */
export function keep(name, content) {
	mkdirSync(pictures, { recursive: true });
	writeFileSync(join(pictures, name), content);
}

export const picture = async (page, name) => keep(`${name}.png`, await page.screenshot({ fullPage: true }));

/** How many different colours are drawn on a canvas: 1 when it is empty. */
export const coloursOn = (canvas) =>
	canvas.evaluate((c) => {
		const copy = Object.assign(document.createElement("canvas"), { width: c.width, height: c.height }).getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		const { data } = copy.getImageData(0, 0, c.width, c.height);
		return new Set(new Uint32Array(data.buffer)).size;
	});

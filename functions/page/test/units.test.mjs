// Unit tests of what can be wrong on the page without being visible.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { pack, recording, segment } from "./replay.mjs";

const page = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(page, "node_modules", ".units-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a source file exports. */
async function load(source) {
	const outfile = join(folder, source.replaceAll("/", "-") + ".mjs");
	await build({ entryPoints: [join(page, "src", source)], outfile, bundle: true, format: "esm", platform: "node", logLevel: "warning" });
	return import(pathToFileURL(outfile));
}

// What modules of the page look at when they are loaded: the session, and the address.
globalThis.sessionStorage ??= { getItem: () => null, setItem() {}, removeItem() {} };
globalThis.location ??= { hash: "" };
globalThis.addEventListener ??= () => {};

test("every label reads back as it was written", async () => {
	const { labelText, parseLabels } = await load("tenant/labels.ts");
	const back = (labels) => assert.deepEqual(parseLabels(labelText(labels)), labels, labelText(labels));
	let seed = 1;
	const upTo = (n) => (seed = (seed * 48271) % 2147483647) % n; // MINSTD
	const signs = [..."ab,,==\"\"\\ \t\n\r\u0000\u0085\u00a0\u2028\ufeff:{}'n", "u0041", "__proto__", "🚗"];
	const text = (least) => Array.from({ length: least + upTo(6) }, () => signs[upTo(signs.length)]).join("");
	for (let i = 0; i < 20_000; i++) {
		const labels = Object.fromEntries(Array.from({ length: 1 + upTo(3) }, () => [text(1), text(0)]));
		back(labels);
		assert.ok(!/[\r\n]/.test(labelText(labels)), "an input drops line ends");
	}
	back(Object.fromEntries([["__proto__", "x"], ["7", ""], ["", ""]]));
	assert.equal(labelText({ study: "north", k: "a,b=c", formula: "a=b" }), 'study=north, k="a,b=c", formula=a=b');
});

test("labels are read as people write them", async () => {
	const { parseLabels } = await load("tenant/labels.ts");
	for (const [text, want] of [
		["", undefined],
		[" , ", undefined],
		["study=north", { study: "north" }],
		[" study = north peak ,, variant=b,", { study: "north peak", variant: "b" }],
		["a=,b=c=d", { a: "", b: "c=d" }],
		['a = "x, y" , "b,c"=5" wide', { a: "x, y", "b,c": '5" wide' }],
	]) {
		assert.deepEqual(parseLabels(text), want, text);
	}
	for (const text of ["north", "a=b, north", "=b", 'a="b', 'a="b" c', '"a', 'a="\\d"']) {
		const problem = parseLabels(text);
		assert.ok(problem?.faults?.[0].message.includes(text.replace("a=b, ", "")), text);
	}
});

test("a stream gives the same events however it is cut into chunks", async () => {
	const { EventParser } = await load("events.ts");
	const stream = ': hello\n\nid: 5\ndata: {"a":1}\n\nevent: progress\ndata: x\ndata: y\n\nretry: 200\n\nid: 9\r\ndata: ü\r\n\r\n';
	const want = [
		{ id: "5", kind: "message", data: '{"a":1}' },
		{ id: "", kind: "progress", data: "x\ny" },
		{ id: "9", kind: "message", data: "ü" },
	];
	for (let size = 1; size <= stream.length; size++) {
		const parser = new EventParser();
		const got = [];
		for (let at = 0; at < stream.length; at += size) got.push(...parser.push(stream.slice(at, at + size)));
		assert.deepEqual(got, want, `in pieces of ${size}`);
	}
});

const fleet = (begin, next) => ({
	begin, end: 20, next, ids: ["a", "b"], types: ["car", "bus"], times: [begin, begin + 5],
	frames: [[[0, 0, 0, 350, 10], [1, 100, 0, 90, 0]], [[0, 50, 10, 10, 10]]],
});

test("values map to classes from one end of the scale to the other, and a missing value to none", async () => {
	const { classOf, classes, none, ramp, roundTop } = await load("map/scale.ts");
	const speed = { low: 0, high: 50, highIsBad: false };
	assert.deepEqual([-1, 0, 50, 80, null].map((v) => classOf(v, speed)), [0, 0, classes - 1, classes - 1, none]);
	assert.deepEqual([0, 50].map((v) => classOf(v, { ...speed, highIsBad: true })), [classes - 1, 0]);
	assert.equal(roundTop([...Array(99).keys(), 1e9]), 100); // an outlier does not set the scale
	assert.equal(roundTop([null, null]), 1);
	// Read by lightness alone, each class is lighter than the one before.
	const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	const luminance = (c) => [1, 3, 5].map((k) => channel(parseInt(c.slice(k, k + 2), 16) / 255)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	for (const theme of ["light", "dark"]) {
		const levels = ramp(theme).map(luminance);
		assert.equal(levels.length, classes);
		for (let i = 1; i < levels.length; i++) assert.ok(levels[i] > levels[i - 1], `${theme}: class ${i} is not lighter than ${i - 1}`);
	}
});

test("an earlier picture is moved to where its places are now", async () => {
	const { Camera } = await load("map/camera.ts");
	const [before, now] = [new Camera(), new Camera()].map((c) => Object.assign(c, { width: 800, height: 600 }));
	before.fit({ minX: 0, minY: 0, maxX: 1000, maxY: 1000 });
	Object.assign(now, { x: before.x, y: before.y, scale: before.scale });
	assert.deepEqual(now.since(before), { x: 0, y: 0, scale: 1 });
	now.zoom(1.7, 100, 500);
	now.pan(-30, 45);
	const to = now.since(before);
	for (const [x, y] of [[0, 0], [800, 600], [123, 456]]) {
		const [px, py] = now.place(to.x + to.scale * x, to.y + to.scale * y);
		before.place(x, y).forEach((v, i) => assert.ok(Math.abs(v - [px, py][i]) < 1e-6));
	}
});

test("the nearest edge is found, and its right is on the right", async () => {
	const { Network } = await load("map/network.ts");
	const edge = (id, shape) => ({ id, shape, lanes: 1, speed: 10, length: 1, priority: 1 });
	const junctions = [{ id: "a", type: "priority", x: 100, y: 0, shape: [98, -2, 102, -2, 102, 2] }, { id: "b", type: "dead_end", x: 0, y: 0 }];
	const net = new Network({ bounds: [0, 0, 100, 100], unit: "m", junctions, stop_lines: [], polygons: [], edges: [edge("east", [0, 0, 50, 0, 100, 0]), edge("north", [100, 0, 100, 100])] });
	assert.equal(net.nearest(40, 3, 5), 0);
	assert.equal(net.nearest(97, 60, 5), 1);
	assert.equal(net.nearest(40, 40, 5), undefined);
	assert.deepEqual([...net.right.slice(0, 2)].map(Math.round), [0, -1]); // going east, the right is south
	assert.deepEqual([...net.right.slice(4, 6)].map(Math.round), [0, -1]);
	assert.deepEqual([...net.right.slice(6, 8)].map((v) => Math.round(v) + 0), [1, 0]);
	assert.deepEqual(net.areasWithin({ minX: 90, minY: -5, maxX: 99, maxY: 5 }), [0]);
	assert.deepEqual(net.areasWithin({ minX: -5, minY: -5, maxX: 5, maxY: 5 }), []);
	assert.equal(new Network({ bounds: [0, 0, 0, 0], unit: "m", junctions: [], stop_lines: [], polygons: [], edges: [] }).nearest(0, 0, 10), undefined);
});

test("numbers, times and units have the form that people write", async () => {
	const f = await load("format.ts");
	const plain = (text) => text.replaceAll(/[\u00a0\u202f]/g, " ");
	for (const [got, want] of [
		[f.clock(0), "0:00"], [f.clock(3599.6), "1:00:00"], [f.clock(-90), "−1:30"], [f.clock(90, true), "0:01:30"], [f.inline("Travel time"), "travel time"], [f.inline("CO₂ of a trip"), "CO₂ of a trip"], [f.duration(0.04), "0 s"], [f.duration(59.7), "1 min 00 s"],
		[f.duration(3725), "1 h 02 min"], [f.duration(241233), "2 d 19 h"], [f.bytes(999), "999 B"], [f.bytes(12_345_678), "12.3 MB"],
		[f.number(0.000123), "0.000123"], [f.number(1234.5), "1,235"], [f.percent(0.0123), "1.2 %"], [`${f.exactly(0.07)}`, "7"], [`${f.exactly(0.9999)}`, "99.99"], [`${f.exactly(0.58)}`, "58"], [f.plural(1, "core"), "1 core"], [f.plural(2, "core"), "2 cores"],
		[f.quantity(8.04, "m/s"), "8.04 m/s (28.9 km/h)"], [f.quantity(8.04, "m/s", true), "8.04 m/s"], [f.quantity(798385221, "mg"), "798.4 kg"],
		[f.quantity(157.67, "s"), "157.7 s (2 min 38 s)"], [f.metricName("mean_time_loss"), "Mean time loss"], [f.metricName("emissions_co2"), "CO₂ emitted"],
	]) assert.equal(plain(got), want);
	assert.match(f.dateTime(new Date(2019, 2, 1, 8, 5)), /2019/);
	assert.doesNotMatch(f.dateTime(new Date(new Date().getFullYear(), 2, 1, 8, 5)), /\d{4}/);
});

test("the form of a study makes the request that it shows", async () => {
	const { blank, blankAxis, faultAt, missing, requestOf, seedsOf, valuesOf } = await load("study/plan.ts");
	assert.deepEqual(valuesOf('0.8, 1, true, fast, "a, b", -3'), [0.8, 1, true, "fast", "a, b", -3]);
	assert.deepEqual(valuesOf("1.18, 1.28", true), ["1.18", "1.28"]);
	assert.equal(seedsOf(" 1:10 "), "1:10");
	assert.deepEqual(seedsOf("1, 2 5"), [1, 2, 5]);
	assert.match(missing(blank), /scenario/);
	const draft = {
		...blank,
		name: "plans",
		variants: [{ name: "base", scenario: "s1" }, { name: "green", scenario: "s2" }],
		axes: [blankAxis(), { name: "SUMO", kind: "field", target: "sumo_version", values: "1.18, 1.28" }, { name: "wait", kind: "option", target: "time-to-teleport", values: "300, -1" }],
		baseline: "base",
		fixed: ["", JSON.stringify("1.28")],
		metrics: ["mean_time_loss"],
		maxParallel: "4",
		stopShare: "20",
		edgedata: false,
		replay: false,
	};
	assert.equal(missing(draft), "");
	assert.deepEqual(requestOf(draft, true), {
		name: "plans",
		variants: draft.variants,
		axes: [
			{ name: "demand", set: "scale", values: [0.8, 1, 1.2] },
			{ name: "SUMO", set: "sumo_version", values: ["1.18", "1.28"] },
			{ name: "wait", set: "option:time-to-teleport", values: [300, -1] },
		],
		combine: "product",
		baseline: { variant: "base", values: { SUMO: "1.28" } },
		replications: { seeds: "1:10" },
		metrics: ["mean_time_loss"],
		max_parallel: 4,
		on_failure: { stop_share: 0.2 },
		dry_run: true,
	});
	assert.deepEqual(requestOf({ ...draft, how: "until", aim: "2.5", min: "", max: "40", of: "difference" }, false).replications, { until: { relative_half_width: 0.025, max: 40, of: "difference" } });
	assert.deepEqual(requestOf({ ...draft, replay: true }, false).run, { replay: true });
	assert.equal(requestOf(draft, false).cache, undefined);
	assert.equal(requestOf({ ...draft, cache: "refresh" }, false).cache, "refresh");
	const controller = { file: " control.py ", interface: "libsumo", args: "--gain\n0.4\n\n" };
	const steered = requestOf({ ...draft, axes: [{ name: "gain", kind: "arg", target: "gain", values: "0.2, 0.4" }], controller }, false);
	assert.deepEqual(steered.run, { controller: { file: "control.py", interface: "libsumo", args: ["--gain", "0.4"] } });
	assert.deepEqual(steered.axes, [{ name: "gain", set: "arg:gain", values: [0.2, 0.4] }]);
	const faults = [{ location: "body.axes[0].values[1]", message: "is there twice" }, { location: "body.axes[10].values", message: "no" }];
	assert.equal(faultAt(faults, "body.axes[0].values"), "is there twice");
	assert.equal(faultAt(faults, "body.axes[1]"), undefined);
});

test("the points of a study lie in rows and columns", async () => {
	const { layoutOf, labelOf } = await load("study/layout.ts");
	const points = ["base", "green"].flatMap((variant) => [300, -1].flatMap((wait) => [0.8, 1, 1.2].map((demand) => ({ variant, setting: { demand, wait } })))).map((p, point) => ({ ...p, point }));
	const table = layoutOf(points, ["demand", "wait"], false);
	assert.equal(table.across, "demand");
	assert.deepEqual(table.columns, ["0.8", "1", "1.2"]);
	assert.deepEqual(table.rows.map((r) => [r.variant, ...r.values]), [["base", "wait 300"], ["base", "wait -1"], ["green", "wait 300"], ["green", "wait -1"]]);
	assert.deepEqual(table.rows[2].cells, [6, 7, 8]);
	assert.equal(labelOf(points[6], ["demand", "wait"]), "green, demand 0.8, wait 300");
	// What is combined by zip, or has no axis, is one column; too many values go down.
	assert.deepEqual(layoutOf(points, ["demand", "wait"], true).columns, [""]);
	assert.equal(layoutOf(points.slice(0, 1).map((p) => ({ ...p, setting: null })), [], false).rows.length, 1);
	const many = Array.from({ length: 40 }, (_, point) => ({ point, variant: "base", setting: { demand: point } }));
	assert.equal(layoutOf(many, ["demand"], false).rows.length, 40);
	// A point that was left out leaves a gap.
	assert.deepEqual(layoutOf(points.slice(0, 5), ["demand", "wait"], false).rows[1].cells, [3, 4, undefined]);
});

test("an update changes only the cells that it concerns", async () => {
	const { Live, rangeOf } = await load("study/live.ts");
	const runs = { done: 0, succeeded: 0, failed: 0, cancelled: 0, active: 0, running: 0 };
	const study = { status: "RUNNING", message: "", eta: null, runs: { planned: 6, ...runs }, points: [0, 1, 2].map((point) => ({ point, runs })) };
	const live = new Live(study);
	let changed = [];
	live.cells.forEach((cell, i) => cell.subscribe(() => changed.push(i)));
	changed = [];
	assert.ok(live.progress({ ...study, points: [{ point: 0, ...runs }, { point: 2, ...runs, done: 1, succeeded: 1 }] }));
	assert.deepEqual(changed, [2]);
	assert.equal(live.changes.value, 1);
	const estimate = (point, mean) => ({ point, mean, low: mean - 1, high: mean + 1, n: 2 });
	const fate = (point) => ({ point, missing: 0 });
	const numbers = { points: [0, 1, 2].map(fate), statistics: [estimate(0, 10), estimate(2, 12)], notes: [] };
	live.numbers(numbers);
	changed = [];
	live.numbers(structuredClone({ ...numbers, statistics: [estimate(0, 10), estimate(2, 12.5)] }));
	assert.deepEqual(changed, [2]);
	assert.ok(!live.progress({ ...study, points: [{ point: 3, ...runs }] }), "a study that was extended is loaded again");
	// Numbers stay until there are new ones.
	assert.equal(new Live(study, live).cells[2].value.estimate.mean, 12.5);
	assert.deepEqual(rangeOf([]), { low: 0, high: 1 });
	assert.deepEqual(rangeOf([{ mean: 5, low: null, high: null }]), { low: 4, high: 6 });
	assert.deepEqual(rangeOf([{ mean: 5, low: 3.2, high: 6.7 }]), { low: 3, high: 7 });
});

test("a mean is shown as exactly as its interval allows", async () => {
	const { meanText } = await load("format.ts");
	assert.equal(meanText(142.345, 4.123), "142.3 ± 4.1");
	assert.equal(meanText(142.345, 41.23), "142 ± 41");
	assert.equal(meanText(0.123456, 0.00456), "0.1235 ± 0.0046");
	assert.equal(meanText(142.345, null), "142.3");
	assert.equal(meanText(5, 0), "5 ± 0");
	const { seedText } = await load("study/plan.ts");
	assert.equal(seedText([1, 2, 3, 7, 9, 10]), "1 to 3, 7, 9 to 10");
});

test("dropped files go where the scenario has them", async () => {
	const { pathFor, zipOf } = await load("scenario/files.ts");
	const known = ["in/a.sumocfg", "in/net/plan.add.xml", "in/x/y.xml", "in/z/y.xml"];
	assert.equal(pathFor("plan.add.xml", known, "in/a.sumocfg"), "in/net/plan.add.xml");
	assert.equal(pathFor("y.xml", known, "in/a.sumocfg"), "in/y.xml"); // it could be either
	assert.equal(pathFor("in/z/y.xml", known, "in/a.sumocfg"), "in/z/y.xml");
	assert.equal(pathFor("new.xml", known, "a.sumocfg"), "new.xml");
	const { unzipSync } = await import("fflate");
	const zip = await zipOf([{ file: new File(["<plan/>"], "plan.add.xml"), path: "in/net/plan.add.xml" }]);
	assert.equal(Buffer.from(unzipSync(new Uint8Array(await zip.arrayBuffer()))["in/net/plan.add.xml"]).toString(), "<plan/>");
	assert.deepEqual(unzipSync(new Uint8Array(await (await zipOf([])).arrayBuffer())), {});
});

/** What a segment says of each moment, in the order of a reader. */
const framesOf = (s) =>
	[...s.times].map((time, f) => ({
		time,
		vehicles: Array.from({ length: s.starts[f + 1] - s.starts[f] }, (_, k) => {
			const i = s.starts[f] + k;
			const { id, type, person } = s.vehicles[s.who[i]];
			const lane = s.lane[i] > 0 ? s.lanes[s.lane[i] - 1] : undefined;
			return { id, type, person, x: s.x[i], y: s.y[i], angle: s.angle[i], speed: Math.round(10 * s.speed[i]) / 10, lane };
		}),
	}));

test("a recording reads back as it was written: vehicles come, go, come again, turn and jump", async () => {
	const { decode } = await load("replay/segment.ts");
	let seed = 7;
	const upTo = (n) => (seed = (seed * 48271) % 2147483647) % n; // MINSTD
	const ids = Array.from({ length: 40 }, (_, i) => `v<${i}>`);
	const state = new Map(ids.map((id) => [id, { x: upTo(10_000) - 5000, y: upTo(10_000) - 5000, angle: upTo(360), speed: upTo(300) }]));
	let order = [];
	const frames = Array.from({ length: 60 }, (_, f) => {
		const absent = ids.filter((id) => !order.includes(id) && upTo(4) === 0);
		order = [...order.filter(() => upTo(5) > 0), ...absent];
		return {
			time: 100 + f / 2,
			vehicles: order.map((id) => {
				const v = state.get(id);
				v.angle = (v.angle + upTo(40) + 340) % 360;
				v.speed = Math.max(0, v.speed + upTo(21) - 10);
				v.x += Math.round(v.speed * 0.5 * Math.sin((v.angle * Math.PI) / 180)) + (upTo(50) === 0 ? upTo(9999) - 5000 : 0);
				v.y += Math.round(v.speed * 0.5 * Math.cos((v.angle * Math.PI) / 180));
				return { id, type: "t", person: false, x: v.x / 10, y: v.y / 10, angle: v.angle, speed: v.speed / 10, lane: `e${upTo(3)}_0` };
			}),
		};
	});
	const events = [{ time: 101, kind: "teleport", vehicle: "v<1>", edge: "e1", x: 1, y: null, text: "Warning: …" }];
	const signals = { ids: ["J"], states: ["Gr"], changes: [[100500, 0, "yr"]] };
	const s = await decode(segment(frames, { events, signals, extra: 1 }));
	assert.deepEqual(framesOf(s), frames);
	assert.deepEqual(s.events, [{ ...events[0], lane: undefined }]);
	assert.deepEqual(s.signals, signals);
	for (let f = 0; f + 1 < frames.length; f++) {
		for (let i = s.starts[f]; i < s.starts[f + 1]; i++) {
			const [id, then] = [frames[f].vehicles[i - s.starts[f]].id, frames[f + 1].vehicles];
			const stays = then.some((v) => v.id === id);
			assert.equal(s.next[i] >= 0 ? s.vehicles[s.who[s.next[i]]].id : undefined, stays ? id : undefined);
		}
	}
});

test("the test vectors of package replay mean the same here", async () => {
	const { decode, Broken } = await load("replay/segment.ts");
	const vectors = join(page, "..", "..", "pkg", "replay", "testdata");
	const names = readdirSync(vectors).filter((name) => name.endsWith(".sk8r"));
	assert.ok(names.length > 10);
	for (const name of names) {
		const want = JSON.parse(readFileSync(join(vectors, name.replace(".sk8r", ".json"))));
		const bytes = readFileSync(join(vectors, name));
		if (want.malformed) {
			await assert.rejects(decode(bytes), Broken, name);
			continue;
		}
		const s = await decode(bytes);
		const frames = (want.frames ?? []).map(({ time, vehicles }) => ({ time, vehicles }));
		const got = [...s.times].map((time, f) => ({
			time: Math.round(1000 * time),
			vehicles: Array.from({ length: s.starts[f + 1] - s.starts[f] }, (_, k) => {
				const i = s.starts[f] + k;
				return [s.who[i], Math.round(10 * s.x[i]), Math.round(10 * s.y[i]), s.angle[i], Math.round(10 * s.speed[i]), s.lane[i] - 1].map((v) => v + 0);
			}),
		}));
		assert.deepEqual(got, frames, name);
		assert.deepEqual(s.vehicles, want.header.vehicles.map((v) => ({ person: false, ...v })), name);
		assert.deepEqual(s.lanes, want.header.lanes, name);
		assert.deepEqual(s.signals, want.header.signals, name);
		assert.deepEqual(s.events.map((e) => e.text), want.header.events.map((e) => e.text), name);
	}
});

test("a vehicle's waiting time goes on from before its segment, and ends when it moves", async () => {
	const { decode } = await load("replay/segment.ts");
	const at = (time, speed) => ({ time, vehicles: [{ id: "a", x: 0, y: 0, angle: 0, speed, waiting: 12 }] });
	const s = await decode(segment([at(0, 0), at(1, 0.1), at(2, 0.2), at(3, 0), at(4, 0)]));
	assert.deepEqual([...s.waiting], [12, 13, 0, 1, 2]);
});

test("a broken recording is refused with the reason, wherever it is broken", async () => {
	const { decode, Broken } = await load("replay/segment.ts");
	const good = segment(Array.from({ length: 5 }, (_, t) => ({ time: t, vehicles: [{ id: "a", x: t, y: 0, angle: 90, speed: 1, lane: "e_0" }] })));
	for (let length = 0; length < good.length; length++) {
		await assert.rejects(decode(good.subarray(0, length)), Broken, `the first ${length} bytes`);
	}
	let refused = 0;
	for (let at = 0; at < good.length; at++) {
		const bytes = Buffer.from(good);
		bytes[at] ^= 0x55;
		await decode(bytes).catch((error) => {
			assert.ok(error instanceof Broken, `byte ${at}: ${error.stack}`);
			refused++;
		});
	}
	assert.ok(refused > good.length / 2); // gzip's own header has bytes without a meaning
	const header = { times: [0, 1000], origin: [0, 0], vehicles: [{ id: "a", type: "t", waiting: 0 }], lanes: [], columns: ["members", "x", "y", "angle", "speed", "lane"] };
	const columns = [[0, 1, 0, 0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]];
	await decode(pack(header, columns));
	const changed = (at, bytes) => columns.map((c, i) => (i === at ? bytes : c));
	for (const [why, bytes] of [
		["later version", pack(header, columns, { version: 2 })],
		["not JSON", pack("{", columns)],
		["not an object", pack("null", columns)],
		["do not ascend", pack({ ...header, times: [2, 1] }, columns)],
		["more than 100000 frames", pack({ ...header, times: Array.from({ length: 100_001 }, (_, i) => i) }, columns)],
		["no origin", pack({ ...header, origin: "x" }, columns)],
		["vehicles is damaged", pack({ ...header, vehicles: [null] }, columns)],
		["lack states", pack({ ...header, signals: { ids: ["J"], states: [], changes: [] } }, columns)],
		["a signal changes", pack({ ...header, signals: { ids: [], states: [], changes: [[1, 0, "G"]] } }, columns)],
		["no column lane", pack({ ...header, columns: header.columns.slice(0, 5) }, columns.slice(0, 5))],
		["follows", pack(header, columns, { rest: [0] })],
		["cut off", pack({ ...header, columns: [...header.columns, "more"] }, columns, { rest: [9] })],
		["ends early", pack(header, changed(1, [0]))],
		["53 bits", pack(header, changed(1, Array(12).fill(255)))],
		["more vehicles leave", pack(header, changed(0, [1, 0, 0, 0, 0]))],
		["leaves that is not there", pack(header, changed(0, [0, 1, 0, 1, 7, 0]))],
		["does not list", pack(header, changed(0, [0, 2, 0, 0, 0, 0]))],
		["does not list", pack(header, changed(0, [0, 1, 1, 0, 0]))],
		["lane that it does not list", pack(header, changed(5, [1, 0]))],
		["too many", pack(header, changed(0, [0, 255, 255, 255, 255, 15]))],
	]) {
		await assert.rejects(decode(bytes), (error) => error instanceof Broken && error.message.includes(why), why);
	}
	// A few hundred kilobytes that unpack to 130 MiB.
	await assert.rejects(decode(pack(header, [Buffer.alloc(130 << 20)])), /unpacks to more/);
});

/** A Recording of frames, without a worker and a network, and what it asked for. */
async function recordingOf(frames, more) {
	const { Recording } = await load("replay/recording.ts");
	const { decode } = await load("replay/segment.ts");
	const made = recording(frames, more);
	const asked = [];
	const fetchPart = async (attempt, n) => {
		asked.push(`${attempt}/${n}`);
		return made.bodies[n];
	};
	const r = new Recording(fetchPart, decode, () => {}, () => {});
	r.take(made.index);
	return { r, made, asked };
}

const settle = async (r, time) => {
	for (const end = Date.now() + 60_000; Date.now() < end && !r.ready(time); ) {
		r.need(time, 0);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
};

/** One car that goes east at 10 m/s, and one that stands. */
const eastward = (seconds) => Array.from({ length: seconds }, (_, time) => ({
	time, vehicles: [{ id: "stands", x: 0, y: 0, angle: 350, speed: 0 }, { id: "goes", x: 10 * time, y: 5, angle: (350 + 20 * time) % 360, speed: 10, lane: "e_0" }],
}));

test("a recording answers for each moment, also between two segments, and fetches only what is near", async () => {
	const { r, asked } = await recordingOf(eastward(300));
	assert.equal(r.at(59.5), undefined);
	await settle(r, 59.5);
	assert.deepEqual(asked.sort(), ["1m/0", "1m/1"]);
	const m = r.at(59.5);
	assert.deepEqual([m.frame, m.share], [59, 0.5]);
	const [at, then] = [r.find(m, "vgoes"), r.bridge(m.segment, m.then)[r.find(m, "vgoes") - m.segment.starts[59]]];
	assert.deepEqual([m.segment.x[at], m.then.x[then]], [590, 600]);
	assert.equal(r.find(m, "pgoes"), undefined); // no person
	assert.equal(r.placeAt(-5), 0);
	assert.equal(r.placeAt(1e9), 4);
	const found = await r.search("goes", 290, new AbortController().signal);
	assert.deepEqual(found, { time: 290, key: "vgoes" });
	assert.equal(await r.search("none", 0, new AbortController().signal), undefined);
});

test("a recording starts over with another attempt", async () => {
	const { r, made } = await recordingOf(eastward(180));
	await settle(r, 10);
	assert.ok(r.at(10));
	r.take({ ...made.index, attempt: "2" });
	assert.equal(r.at(10), undefined);
});

test("lines of SUMO lead to their time and place", async () => {
	const { leadOf, linkToLead, edgeOfLane, junctionOf } = await load("replay/lead.ts");
	for (const [line, want] of [
		["Warning: Teleporting vehicle 'a b'; waited too long (jam), lane='A0B0_1', time=612.00.", { time: 612, vehicle: "a b", lane: "A0B0_1" }],
		["Warning: Vehicle 'x' ends teleporting on edge 'B0C0', time=1:02:03:04.50.", { time: 93784.5, vehicle: "x", edge: "B0C0" }],
		["Warning: Vehicle 'f.1'; junction collision with vehicle 'f.2', lane=':C_3_0', gap=-0.5, time=0:01:30.00, stage=move.", { time: 90, vehicle: "f.1", lane: ":C_3_0" }],
		["Warning: Vehicle 'v' performs emergency braking on lane 'e_0' with decel=9.00, wished=4.50, severity=1.00, time=7.10.", { time: 7.1, vehicle: "v", lane: "e_0" }],
		["Warning: Person 'p' aborted, time=5.00.", { time: 5, vehicle: "p" }],
		["Warning: Vehicle 'v' has no valid route.", undefined],
		["Simulation ended at time: 900.00", undefined],
		["Loading done, time=3.", undefined],
	]) assert.deepEqual(leadOf(line), want, line);
	assert.equal(linkToLead("j", { time: 5, vehicle: "a&b/c" }), "#/jobs/j/map?t=5&vehicle=a%26b%2Fc");
	assert.equal(edgeOfLane("-a_b#2_0"), "-a_b#2");
	assert.deepEqual([":C_3", ":J_1_c0", ":J_w2", "e_1"].map(junctionOf), ["C", "J_1", "J", undefined]);
});

test("the phases of a signal go on from one segment to the next", async () => {
	const { phasesOf } = await load("replay/inspect.tsx");
	const program = (t) => (t % 50 < 30 ? "Gr" : t % 50 < 33 ? "yr" : "rG");
	const { r } = await recordingOf(eastward(180), { signals: { other: () => "O", J: program } });
	for (const place of [0, 1, 2]) await r.load(place);
	assert.deepEqual(phasesOf(r, "J", 40, 120), [
		{ from: 33, to: 50, state: "rG" }, { from: 50, to: 80, state: "Gr" }, { from: 80, to: 83, state: "yr" }, { from: 83, to: 100, state: "rG" }, { from: 100, to: 130, state: "Gr" },
	]);
	assert.deepEqual(phasesOf(r, "none", 0, 100), []);
});

test("what is drawn lies between two frames, turns the shorter way, and does not follow a jump", async () => {
	const { Scene, stride, packed, unpacked } = await load("replay/scene.ts");
	const { Network } = await load("map/network.ts");
	const frames = [
		{ time: 0, vehicles: [{ id: "turns", x: 0, y: 0, angle: 350, speed: 10 }, { id: "jumps", x: 0, y: 0, angle: 0, speed: 0 }] },
		{ time: 1, vehicles: [{ id: "turns", x: 10, y: 4, angle: 20, speed: 10 }, { id: "jumps", x: 5000, y: 0, angle: 90, speed: 0 }] },
	];
	const stop_lines = [{ signal: "J", index: 1, line: [10, -1, 10, 1] }];
	const network = new Network({ bounds: [0, 0, 100, 100], unit: "m", junctions: [], edges: [], polygons: [], stop_lines });
	const { r } = await recordingOf(frames, { signals: { J: (t) => (t < 1 ? "rr" : "rG") } });
	await settle(r, 0);
	const palette = { ramp: Uint32Array.from({ length: 16 }, (_, i) => i), kinds: Uint32Array.from([9]), signals: { r: 1, G: 2, "": 3 }, ring: 0 };
	const scene = new Scene(network, r, palette);
	scene.show(0.5);
	const place = (id) => scene.placeOf(scene.moment, r.find(scene.moment, id));
	assert.deepEqual(place("vturns"), { x: 5, y: 2, angle: 365 });
	assert.deepEqual(place("vjumps"), { x: 0, y: 0, angle: 0 });
	assert.equal(scene.vehicles.colours[9], Math.floor((16 * 10) / (50 / 3.6)));
	assert.equal(scene.vehicles.colours[stride + 9], 0);
	assert.deepEqual(scene.vehicleAt(5, 2, 3), { position: r.find(scene.moment, "vturns"), distance: 0 });
	assert.equal(scene.vehicleAt(50, 50, 3), undefined);
	assert.deepEqual(scene.signalAt(11, 0, 3), { signal: "J", distance: 0.55 });
	assert.equal(scene.lines.colours[9], 1);
	scene.show(1);
	assert.equal(scene.lines.colours[9], 2);
	scene.show(0.2); // back
	assert.equal(scene.lines.colours[9], 1);
	assert.equal(unpacked(packed("#12a0ff")), "rgb(18 160 255)");
});

test("news of a recording come from the stream, and by looking while that is down", async () => {
	const { News } = await load("replay/news.ts");
	const news = new News(50);
	const within = (promise, ms) => Promise.race([promise.then(() => true), new Promise((resolve) => setTimeout(resolve, ms, false))]);
	news.connect(true);
	news.read();
	let next = news.next();
	assert.equal(await within(next, 150), false, "it looks although the stream would say so");
	news.hear();
	assert.equal(await within(next, 50), true);
	assert.equal(await within(news.next(), 50), true, "what came while the index was read is forgotten");
	news.read();
	next = news.next();
	news.connect(false);
	assert.equal(await within(next, 500), true, "it does not look while the stream is down");
});

test("trips of the same two edges are a pair, which has its colour in both of two runs", async () => {
	const { pairsOf, placedAs } = await load("replay/trips.ts");
	const trip = (id, departLane, arrivalLane) => ({ id, departLane, arrivalLane });
	const first = pairsOf([trip("1", "a_0", "b_0"), trip("2", "c_0", "d_1"), trip("3", "c_1", "d_0"), trip("on its way", "c_0", ""), trip("unknown", null, null), trip(7, "a_0", "b_0")]);
	assert.deepEqual(first.list, [{ from: "c", to: "d", count: 2 }, { from: "a", to: "b", count: 1 }]);
	assert.deepEqual([...first.of], [["2", 0], ["3", 0], ["1", 1]]);
	const other = placedAs(first, pairsOf([trip("1", "a_0", "b_1"), trip("2", "e_0", "f_0"), trip("5", "e_0", "f_0")]));
	assert.deepEqual([...other.of], [["2", 2], ["5", 2], ["1", 1]]);
});

test("a vehicle has the colour of its pair, and one without a pair has none of them", async () => {
	const { Scene, stride, pairColour, namedPairs } = await load("replay/scene.ts");
	const { hues } = await load("map/scale.ts");
	const { Network } = await load("map/network.ts");
	const network = new Network({ bounds: [0, 0, 9, 9], unit: "m", edges: [], junctions: [], stop_lines: [], polygons: [] });
	const palette = { ramp: new Uint32Array(16), kinds: new Uint32Array(6), pairs: Uint32Array.from({ length: namedPairs + 3 }, (_, n) => 100 + n), signals: { "": 0 }, unknown: 7, ring: 0 };
	const vehicles = ["a", "b", "c", "stranger"].map((id, n) => ({ id, x: n, y: 0, angle: 0, speed: 0 }));
	const { r } = await recordingOf([{ time: 0, vehicles: vehicles }, { time: 1, vehicles }]);
	await r.load(0);
	const scene = new Scene(network, r, palette);
	scene.colourBy = "pair";
	const colours = () => {
		scene.show(0);
		return vehicles.map((_, k) => scene.vehicles.colours[k * stride + 9]);
	};
	assert.deepEqual(colours(), [7, 7, 7, 7]);
	scene.take({ of: new Map([["a", 0], ["b", 0], ["c", namedPairs + 3]]), list: [] });
	assert.deepEqual(colours(), [100, 100, 100 + namedPairs, 7]); // the unnamed ones begin again
	assert.equal(pairColour(palette, namedPairs - 1), 100 + namedPairs - 1);
	for (const theme of ["light", "dark"]) assert.equal(new Set(hues(theme, 42)).size, 42);
});

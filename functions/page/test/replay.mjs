// Writes recordings for tests, as docs/replay-format.md describes them: what the service would not write, too.
import { gzipSync } from "node:zlib";

class Varints {
	bytes = [];
	put(value) {
		for (; value > 127; value = Math.floor(value / 128)) this.bytes.push((value % 128) | 128);
		this.bytes.push(value);
	}
	signed(value) {
		this.put(value < 0 ? -2 * value - 1 : 2 * value);
	}
}

const sharesOf = (of) => Array.from({ length: 360 }, (_, a) => {
	const v = of((a * Math.PI) / 180) * 32768;
	return Math.sign(v) * Math.round(Math.abs(v));
});
const [sines, cosines] = [sharesOf(Math.sin), sharesOf(Math.cos)];

/** Packs a header and columns that may be anything. */
export function pack(header, columns, { version = 1, rest = [] } = {}) {
	const head = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
	const parts = [head, ...columns].map((bytes) => {
		const length = new Varints();
		length.put(bytes.length);
		return Buffer.concat([Buffer.from(length.bytes), Buffer.from(bytes)]);
	});
	return Buffer.concat([Buffer.from("SK8R"), Buffer.from([version]), gzipSync(Buffer.concat([...parts, Buffer.from(rest)]))]);
}

/**
 * A segment of frames: each { time, vehicles: [{ id, type, x, y, angle, speed, lane, person }] }, in s, m, degrees and m/s.
 * More of the header is in more.
 */
export function segment(frames, more = {}) {
	const columns = Object.fromEntries(["members", "x", "y", "angle", "speed", "lane"].map((name) => [name, new Varints()]));
	const { members, x: xs, y: ys, angle: angles, speed: speeds, lane: laneColumn } = columns;
	const lanes = [];
	const laneNumber = new Map();
	const vehicles = [];
	const number = new Map();
	const last = new Map(); // of the active
	let active = [];
	const tenth = (v) => Math.round(v * 10);
	const first = frames.find((f) => f.vehicles.length > 0)?.vehicles[0];
	const origin = [tenth(first?.x ?? 0), tenth(first?.y ?? 0)];
	frames.forEach((frame, f) => {
		const here = new Map(frame.vehicles.map((v) => [v.id, v]));
		const dt = f > 0 ? Math.round(1000 * frame.time) - Math.round(1000 * frames[f - 1].time) : 0;
		const left = active.flatMap((id, k) => (here.has(id) ? [] : [k]));
		members.put(left.length);
		left.forEach((k, i) => members.put(i === 0 ? k : k - left[i - 1] - 1));
		active.filter((id) => !here.has(id)).forEach((id) => last.delete(id));
		active = active.filter((id) => here.has(id));
		const joined = frame.vehicles.filter((v) => !last.has(v.id));
		members.put(joined.length);
		for (const v of joined) {
			members.put(number.has(v.id) ? number.get(v.id) + 1 : 0);
			if (!number.has(v.id)) {
				number.set(v.id, vehicles.length);
				vehicles.push({ id: v.id, type: v.type ?? "car", waiting: v.waiting ?? 0, ...(v.person && { person: true }) });
			}
			active.push(v.id);
		}
		for (const id of active) {
			const v = here.get(id);
			const [x, y, angle, speed] = [tenth(v.x), tenth(v.y), Math.round(v.angle) % 360, tenth(v.speed)];
			const before = last.get(id);
			if (before) {
				angles.signed(((angle - before.angle + 540) % 360) - 180);
				speeds.signed(speed - before.speed);
				xs.signed(x - (before.x + Math.floor((speed * dt * sines[angle]) / 32768000 + 0.5)));
				ys.signed(y - (before.y + Math.floor((speed * dt * cosines[angle]) / 32768000 + 0.5)));
			} else {
				angles.signed(angle);
				speeds.signed(speed);
				xs.signed(x - origin[0]);
				ys.signed(y - origin[1]);
			}
			let lane = 0;
			if (v.lane && v.lane !== before?.lane) {
				if (!laneNumber.has(v.lane)) {
					laneNumber.set(v.lane, lanes.length + 1);
					lanes.push(v.lane);
				}
				lane = laneNumber.get(v.lane);
			}
			laneColumn.put(lane);
			last.set(id, { x, y, angle, speed, lane: v.lane ?? before?.lane });
		}
	});
	const header = {
		times: frames.map((f) => Math.round(1000 * f.time)), origin, vehicles, lanes,
		signals: { ids: [], states: [], changes: [] }, events: [], columns: Object.keys(columns), ...more,
	};
	return pack(header, Object.values(columns).map((c) => c.bytes));
}

/** A recording of frames: its index and its segments. signals is { id: (time) => state }; more goes into the index. */
export function recording(frames, { signals = {}, events = [], span = 60, ...more } = {}) {
	const parts = [];
	for (const f of frames) {
		if (parts.length === 0 || f.time >= parts.at(-1)[0].time + span) parts.push([]);
		parts.at(-1).push(f);
	}
	const ids = Object.keys(signals);
	const bodies = parts.map((part) => {
		const states = ids.map((id) => signals[id](part[0].time));
		const now = [...states];
		const changes = [];
		for (const { time } of part) {
			ids.forEach((id, n) => {
				const state = signals[id](time);
				if (state !== now[n]) changes.push([Math.round(1000 * time), n, (now[n] = state)]);
			});
		}
		return segment(part, { signals: { ids, states, changes }, events: events.filter((e) => e.time >= part[0].time && e.time <= part.at(-1).time) });
	});
	const bounds = [Infinity, Infinity, -Infinity, -Infinity];
	for (const { x, y } of frames.flatMap((f) => f.vehicles)) {
		bounds.splice(0, 4, Math.min(bounds[0], x), Math.min(bounds[1], y), Math.max(bounds[2], x), Math.max(bounds[3], y));
	}
	const index = {
		attempt: "1m", complete: true, source: "recording", period: frames[1].time - frames[0].time, begin: frames[0].time, end: frames.at(-1).time,
		bounds,
		segments: parts.map((part, n) => {
			const last = part.at(-1).vehicles.filter((v) => !v.person);
			return { n, begin: part[0].time, end: part.at(-1).time, frames: part.length, bytes: bodies[n].length, running: last.length, halting: last.filter((v) => v.speed <= 0.1).length };
		}),
		types: { car: { class: "passenger", length: 5, width: 1.8 } }, signals: ids, events, missing: [], ...more,
	};
	return { index, bodies };
}

/** Answers for the service with a recording of a job: what is in it can be changed meanwhile. */
export async function serveRecording(page, job, made) {
	await page.route(`**/jobs/${job}/replay`, (route) => route.fulfill({ json: made.index }));
	await page.route(`**/jobs/${job}/replay/segments/**`, (route) => {
		const [attempt, n] = new URL(route.request().url()).pathname.split("/").slice(-2);
		if (attempt !== made.index.attempt || !made.bodies[n]) return route.fulfill({ status: 404, json: { code: "not_found", title: "Not found", detail: "There is no such segment." } });
		return route.fulfill({ contentType: "application/octet-stream", body: made.bodies[n] });
	});
}

// The service under test: the program that `make dev` starts, with its own folder and port.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { strToU8, unzipSync, zipSync } from "fflate";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A scenario of test_networks, as bytes. */
export const network = (path) => readFileSync(join(root, "test_networks", path));

/** A zip with further files, as texts by their paths. */
const withFiles = (zip, files) => zipSync({ ...unzipSync(zip), ...Object.fromEntries(Object.entries(files).map(([path, text]) => [path, strToU8(text)])) });

const patience = 180_000; // milliseconds; on an idle machine everything takes a second or two

export async function eventually(what, check, wait = patience) {
	const end = Date.now() + wait;
	for (;;) {
		const found = await check();
		if (found) return found;
		if (Date.now() > end) throw new Error(`still waiting for ${what}`);
		await pause(100);
	}
}

export async function startService(settings = {}) {
	const program = join(root, ".local", "bin", "local");
	if (!existsSync(program)) throw new Error(`there is no ${program}: run make build`);
	const data = mkdtempSync(join(tmpdir(), "sumo-k8-page-"));
	const child = spawn(program, ["--data", data, "--slots", "2"], { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...settings } });
	const ended = new Promise((resolve) => child.once("exit", resolve));
	const file = join(data, "endpoint.json");
	await eventually("the service", () => {
		if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode}`);
		return existsSync(file);
	});
	const { url, admin_key: adminKey } = JSON.parse(readFileSync(file, "utf8"));

	const call = async (method, path, { key, json, form } = {}) => {
		const headers = key ? { Authorization: `Bearer ${key}` } : { "X-Admin-Key": adminKey };
		if (json) headers["Content-Type"] = "application/json";
		const answer = await fetch(url + path, { method, headers, body: json ? JSON.stringify(json) : form });
		if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
		return answer.json();
	};

	return {
		url,
		adminKey,
		call,
		/** A tenant with its key. */
		async register(tenant_id, limits = {}) {
			const { api_key: key } = await call("POST", "/auth/register", { json: { tenant_id, ...limits } });
			return { id: tenant_id, key };
		},
		/** A job of one of the ready networks. */
		async submit(tenant, name, fields = {}) {
			const form = new FormData();
			for (const [field, value] of Object.entries({ scenario_id: name, cpu_request: "1", memory_gi: "1", ...fields })) form.set(field, value);
			form.set("sumo_files", new Blob([network(`ready_to_use/${name}.zip`)]), `${name}.zip`);
			return call("POST", "/jobs", { key: tenant.key, form });
		},
		/** The id of a ready network, stored as a scenario, with these files in addition. */
		async store(tenant, name, files = {}) {
			const headers = { Authorization: `Bearer ${tenant.key}`, "Content-Type": "application/zip" };
			const answer = await fetch(`${url}/scenarios?name=${name}`, { method: "POST", headers, body: withFiles(network(`ready_to_use/${name}.zip`), files) });
			if (!answer.ok) throw new Error(`storing ${name}: ${answer.status} ${await answer.text()}`);
			return (await answer.json()).id;
		},
		/** A study once it has finished. */
		async study(tenant, plan, wait) {
			const { study_id: id } = await call("POST", "/studies", { key: tenant.key, json: plan });
			return eventually(`study ${id}`, async () => {
				const s = await call("GET", `/studies/${id}`, { key: tenant.key });
				return s.status !== "RUNNING" && s;
			}, wait);
		},
		/** The job once it has finished. */
		finish: (tenant, id, wait) =>
			eventually(`job ${id}`, async () => {
				const job = await call("GET", `/jobs/${id}`, { key: tenant.key });
				return ["SUCCEEDED", "FAILED", "CANCELLED"].includes(job.status) && job;
			}, wait),
		async stop() {
			child.kill("SIGTERM");
			await ended;
			rmSync(data, { recursive: true, force: true });
		},
	};
}

/** A connection to the service that a test can cut, as a network does, and restore. */
export async function startLine(to) {
	const { hostname, port } = new URL(to);
	const sockets = new Set();
	let up = true;
	const server = createServer((near) => {
		if (!up) return near.destroy();
		const far = connect(Number(port), hostname);
		for (const [socket, other] of [[near, far], [far, near]]) {
			sockets.add(socket);
			socket.on("error", () => other.destroy());
			socket.on("close", () => {
				other.destroy();
				sockets.delete(socket);
			});
		}
		near.pipe(far).pipe(near);
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const cut = () => {
		up = false;
		for (const socket of sockets) socket.destroy();
	};
	return {
		url: `http://127.0.0.1:${server.address().port}`,
		cut,
		restore: () => (up = true),
		async stop() {
			cut();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

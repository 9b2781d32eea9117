// Tenant management: create, set limits, issue keys, delete.
import { useState } from "preact/hooks";
import { call, get, type Problem, type Schemas } from "../api";
import { asProblem, useLoad } from "../load";
import { Action, Card, Copy, Dialog, Empty, Field, Loading, ProblemNotice, announce, Time, Title, Scroll } from "../parts";

type Tenant = Schemas["Tenant"];
type Ask = { what: "create" } | { what: "limit" | "key" | "delete"; tenant: Tenant } | { what: "issued"; tenant: Tenant };

const interval = 10_000;

export function Tenants() {
	const tenants = useLoad("tenants", (signal) => get<"/auth/tenants">("/auth/tenants", signal), () => interval);
	const [ask, setAsk] = useState<Ask>();
	const done = (next?: Ask) => {
		setAsk(next);
		tenants.reload();
	};
	const close = () => setAsk(undefined);
	return (
		<>
			<Title
				beside={
					<button type="button" class="primary" onClick={() => setAsk({ what: "create" })}>
						Create a tenant
					</button>
				}
			>
				Tenants
			</Title>
			<Card>
				{tenants.problem && <ProblemNotice problem={tenants.problem} retry={tenants.reload} />}
				{tenants.loading && <Loading what="tenants" />}
				{tenants.data?.tenants.length === 0 && <Empty>There are no tenants yet. Create one and give its key to its users.</Empty>}
				{tenants.data && tenants.data.tenants.length > 0 && (
					<Scroll label="Tenants">
						<table class="list stack">
							<thead>
								<tr>
									<th>Tenant</th>
									<th>Key</th>
									<th class="right">Concurrent jobs</th>
									<th class="right">Cores</th>
									<th class="right">Memory</th>
									<th>S3 inputs</th>
									<th>Controllers</th>
									<th>Created</th>
									<th>
										<span class="hidden">Actions</span>
									</th>
								</tr>
							</thead>
							<tbody>
								{tenants.data.tenants.map((t) => (
									<tr key={t.tenant_id}>
										<td class="name">
											<strong>{t.tenant_id}</strong>
											<span class="id">{t.namespace}</span>
										</td>
										<td>{t.api_key ? <code>{t.api_key}</code> : <span class="muted">none valid</span>}</td>
										<td class="right figure" data-label="jobs">{t.max_concurrent_jobs}</td>
										<td class="right figure" data-label="cores">{t.max_cpu}</td>
										<td class="right figure" data-label="memory">{t.max_memory_gi} GiB</td>
										<td data-label="inputs">{t.input_buckets.length > 0 ? t.input_buckets.join(", ") : <span class="muted">none</span>}</td>
										<td data-label="controllers">{t.controllers ? "allowed" : <span class="muted">no</span>}</td>
										<td data-label="created">
											<Time at={t.created_at} />
										</td>
										<td class="acts">
											<button type="button" aria-label={`Limits of ${t.tenant_id}`} onClick={() => setAsk({ what: "limit", tenant: t })}>
												Limits
											</button>
											<button type="button" aria-label={`New key for ${t.tenant_id}`} onClick={() => setAsk({ what: "key", tenant: t })}>
												New key
											</button>
											<button type="button" class="quiet" aria-label={`Delete ${t.tenant_id}`} onClick={() => setAsk({ what: "delete", tenant: t })}>
												Delete…
											</button>
										</td>
									</tr>
								))}
							</tbody>
						</table>
					</Scroll>
				)}
			</Card>
			{ask?.what === "create" && (
				<Dialog title="Create a tenant" close={close}>
					<LimitForm send={(fields) => call<Tenant>("/auth/register", { method: "POST", json: fields })} label="Create" cancel={close} done={(t) => done({ what: "issued", tenant: t })} />
				</Dialog>
			)}
			{ask?.what === "limit" && (
				<Dialog title={`Limits of ${ask.tenant.tenant_id}`} close={close}>
					<p class="muted">Running jobs continue; queued jobs start under the new limits.</p>
					<LimitForm
						tenant={ask.tenant}
						send={(fields) => call<Tenant>(`/auth/tenants/${encodeURIComponent(ask.tenant.tenant_id)}`, { method: "PATCH", json: fields })}
						label="Set limits"
						cancel={close}
						done={(t) => {
							announce(`Updated the limits of ${t.tenant_id}.`);
							done();
						}}
					/>
				</Dialog>
			)}
			{ask?.what === "key" && <NewKey tenant={ask.tenant} close={close} done={(t) => done({ what: "issued", tenant: t })} />}
			{ask?.what === "issued" && <Issued tenant={ask.tenant} close={close} />}
			{ask?.what === "delete" && <Delete tenant={ask.tenant} close={close} done={() => done()} />}
		</>
	);
}

function LimitForm({ tenant, send, label, cancel, done }: { tenant?: Tenant; send: (fields: Record<string, unknown>) => Promise<Tenant>; label: string; cancel: () => void; done: (t: Tenant) => void }) {
	const [fields, setFields] = useState({
		tenant_id: "",
		max_concurrent_jobs: String(tenant?.max_concurrent_jobs ?? 2),
		max_cpu: String(tenant?.max_cpu ?? 32),
		max_memory_gi: String(tenant?.max_memory_gi ?? 128),
		input_buckets: tenant?.input_buckets.join(", ") ?? "",
		default_sumo_version: tenant?.default_sumo_version ?? "",
	});
	const [controllers, setControllers] = useState(tenant?.controllers ?? false);
	const [problem, setProblem] = useState<Problem>();
	const [busy, setBusy] = useState(false);
	const submit = async (e: Event) => {
		e.preventDefault();
		setBusy(true);
		setProblem(undefined);
		try {
			done(
				await send({
					...(!tenant && { tenant_id: fields.tenant_id.trim() }),
					max_concurrent_jobs: Number(fields.max_concurrent_jobs),
					max_cpu: Number(fields.max_cpu),
					max_memory_gi: Number(fields.max_memory_gi),
					input_buckets: fields.input_buckets.split(",").map((b) => b.trim()).filter(Boolean),
					controllers,
					// Left alone it may name a version that is no longer offered, and stays.
					...(fields.default_sumo_version.trim() !== (tenant?.default_sumo_version ?? "") && { default_sumo_version: fields.default_sumo_version.trim() }),
				}),
			);
		} catch (error) {
			setProblem(asProblem(error));
			setBusy(false);
		}
	};
	const input = (name: keyof typeof fields, title: string, hint?: string, more: Record<string, unknown> = {}) => (
		<Field label={title} hint={hint} fault={problem?.faults.find((f) => f.location === `body.${name}`)?.message}>
			{(props) => <input {...props} {...more} value={fields[name]} onInput={(e) => setFields({ ...fields, [name]: e.currentTarget.value })} />}
		</Field>
	);
	const count = (max: number) => ({ type: "number", min: 1, max, required: true });
	return (
		<form onSubmit={(e) => void submit(e)}>
			{!tenant && input("tenant_id", "Name", "Letters, digits, spaces, '.', '_', '@' or '-'.", { required: true, maxLength: 100, autocomplete: "off" })}
			<div class="grid">
				{input("max_concurrent_jobs", "Concurrent jobs", undefined, count(200))}
				{input("max_cpu", "Cores", "Of all its jobs in total.", count(1000))}
				{input("max_memory_gi", "Memory (GiB)", "Of all its jobs in total.", count(5000))}
			</div>
			{input("input_buckets", "S3 inputs", "bucket or bucket/prefix/, separated by commas.", { spellcheck: false, autocomplete: "off" })}
			{input("default_sumo_version", "Default SUMO version", "For jobs that name none, such as 1.28; empty for the newest, which an upgrade may change.", { spellcheck: false, autocomplete: "off", placeholder: "the newest" })}
			<label class="check">
				<input type="checkbox" name="controllers" checked={controllers} onChange={(e) => setControllers(e.currentTarget.checked)} />
				<span>
					Controllers and tools <span class="hint">jobs may run programs of their scenarios, if CONTROLLERS is set for the service</span>
				</span>
			</label>
			{problem && <ProblemNotice problem={problem} />}
			<div class="buttons">
				<button type="button" onClick={cancel}>
					Cancel
				</button>
				<button type="submit" class="primary" disabled={busy}>
					{label}
				</button>
			</div>
		</form>
	);
}

function NewKey({ tenant, close, done }: { tenant: Tenant; close: () => void; done: (t: Tenant) => void }) {
	return (
		<Dialog title={`New key for ${tenant.tenant_id}?`} close={close}>
			<p>All existing keys of this tenant stop working immediately.</p>
			<div class="buttons">
				<button type="button" onClick={close}>
					Keep the current key
				</button>
				<Action kind="primary" act={async () => done(await call<Tenant>("/auth/regenerate-key", { method: "POST", json: { tenant_id: tenant.tenant_id } }))}>
					Issue a new key
				</Action>
			</div>
		</Dialog>
	);
}

function Issued({ tenant, close }: { tenant: Tenant; close: () => void }) {
	return (
		<Dialog title={`Key of ${tenant.tenant_id}`} close={close}>
			<p>This key is shown only once. Store it, and pass it on over a secure channel.</p>
			<p class="key">
				<code>{tenant.api_key}</code> <Copy text={tenant.api_key} what="the key" />
			</p>
			<div class="buttons">
				<button type="button" class="primary" onClick={close}>
					I have stored it
				</button>
			</div>
		</Dialog>
	);
}

function Delete({ tenant, close, done }: { tenant: Tenant; close: () => void; done: () => void }) {
	const [typed, setTyped] = useState("");
	const [force, setForce] = useState(false);
	return (
		<Dialog title={`Delete ${tenant.tenant_id}?`} close={close}>
			<p>This permanently deletes its keys, scenarios, jobs and results.</p>
			<Field label={`Type ${tenant.tenant_id} to confirm`}>{(props) => <input {...props} autocomplete="off" spellcheck={false} value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />}</Field>
			<label class="check">
				<input type="checkbox" checked={force} onChange={(e) => setForce(e.currentTarget.checked)} />
				<span>Cancel queued and running jobs</span>
			</label>
			<div class="buttons">
				<button type="button" onClick={close}>
					Keep it
				</button>
				<Action
					kind="danger"
					disabled={typed !== tenant.tenant_id}
					act={async () => {
						await call(`/auth/tenants/${encodeURIComponent(tenant.tenant_id)}${force ? "?force=true" : ""}`, { method: "DELETE" });
						announce(`Deleted ${tenant.tenant_id}.`);
						done();
					}}
				>
					Delete
				</Action>
			</div>
		</Dialog>
	);
}

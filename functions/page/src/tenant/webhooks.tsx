// A tenant's webhooks, and what was sent or waits to be sent to them.
import { useState } from "preact/hooks";
import { call, get, type Got, Problem, type Schemas } from "../api";
import { asProblem, useLoad, usePages } from "../load";
import { Action, announce, Card, Copy, Dialog, Empty, Field, Loading, ProblemNotice, Time, Title } from "../parts";
import { linkTo } from "../route";
import { labelText, parseLabels } from "./labels";

type Webhook = Schemas["Webhook"];
type NewWebhook = Schemas["NewWebhook"];
type Delivery = Schemas["Delivery"];
type State = Delivery["state"];
type Ask = { what: "add" } | { what: "change" | "secret" | "delete"; hook: Webhook } | { what: "issued"; hook: NewWebhook };

const interval = 10_000;
const busyInterval = 3000; // while something is due soon

const eventNames = [
	{ name: "job.queued", title: "Queued", use: "accepted" },
	{ name: "job.running", title: "Running", use: "SUMO has started" },
	{ name: "job.finished", title: "Finished", use: "succeeded, failed or cancelled" },
	{ name: "job.progress", title: "Progress", use: "up to once a second" },
] as const;

const eventTitle = (name: string): string => eventNames.find((e) => e.name === name)?.title ?? name;

const address = (hook: Webhook, below = ""): string => `/webhooks/${encodeURIComponent(hook.webhook_id)}${below}`;

export function Webhooks() {
	const hooks = useLoad("webhooks", (signal) => get<"/webhooks">("/webhooks", signal), () => interval);
	const [ask, setAsk] = useState<Ask>();
	const done = (next?: Ask) => {
		setAsk(next);
		hooks.reload();
	};
	const close = () => setAsk(undefined);
	const change = async (hook: Webhook, fields: Partial<Webhook>, said: string) => {
		await call<Webhook>(address(hook), { method: "PATCH", json: fields });
		announce(said);
		done();
	};
	return (
		<>
			<Title
				beside={
					<button type="button" class="primary" onClick={() => setAsk({ what: "add" })}>
						Add a webhook
					</button>
				}
			>
				Webhooks
			</Title>
			<Card>
				{hooks.problem && <ProblemNotice problem={hooks.problem} retry={hooks.reload} />}
				{hooks.loading && <Loading what="webhooks" />}
				{hooks.data?.webhooks.length === 0 && <Empty>There are no webhooks yet. Add one, and events of your jobs are sent to its URL.</Empty>}
				{hooks.data && hooks.data.webhooks.length > 0 && (
					<table class="list stack hooks">
						<thead>
							<tr>
								<th>URL</th>
								<th>Events</th>
								<th>Labels</th>
								<th>Status</th>
								<th>
									<span class="hidden">Actions</span>
								</th>
							</tr>
						</thead>
						<tbody>
							{hooks.data.webhooks.map((h) => (
								<tr key={h.webhook_id}>
									<td class="name">
										<strong>{h.url}</strong>
										{h.format === "cloudevents" && <span class="reason">CloudEvents</span>}
										{h.old_secrets_until && (
											<span class="reason">
												Old secret valid until <Time at={h.old_secrets_until} />
											</span>
										)}
									</td>
									<td data-label="events">{h.events.map(eventTitle).join(", ")}</td>
									<td data-label="labels">{labelText(h.labels) || <span class="muted">any job</span>}</td>
									<td>
										<span class={`pill ${h.enabled ? "succeeded" : h.remark ? "failed" : ""}`}>{h.enabled ? "Enabled" : h.remark ? "Disabled" : "Paused"}</span>
										{h.remark && <span class="reason">{h.remark}</span>}
									</td>
									<td class="acts">
										{h.enabled ? (
											<Action label={`Pause ${h.url}`} act={() => change(h, { enabled: false }, "Paused the webhook.")}>
												Pause
											</Action>
										) : (
											<Action label={`Resume ${h.url}`} act={() => change(h, { enabled: true }, "Resumed the webhook.")}>
												Resume
											</Action>
										)}
										<button type="button" aria-label={`Edit ${h.url}`} onClick={() => setAsk({ what: "change", hook: h })}>
											Edit
										</button>
										<button type="button" aria-label={`New secret for ${h.url}`} onClick={() => setAsk({ what: "secret", hook: h })}>
											New secret
										</button>
										<button type="button" class="quiet" aria-label={`Delete ${h.url}`} onClick={() => setAsk({ what: "delete", hook: h })}>
											Delete…
										</button>
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</Card>
			<Deliveries hooks={hooks.data?.webhooks ?? []} />
			{ask?.what === "add" && (
				<Dialog title="Add a webhook" close={close}>
					<HookForm
						send={(fields) => call<NewWebhook>("/webhooks", { method: "POST", json: fields })}
						label="Add"
						cancel={close}
						done={(hook) => done({ what: "issued", hook })}
					/>
				</Dialog>
			)}
			{ask?.what === "change" && (
				<Dialog title="Edit the webhook" close={close}>
					<HookForm
						hook={ask.hook}
						send={(fields) => call<NewWebhook>(address(ask.hook), { method: "PATCH", json: fields })}
						label="Save"
						cancel={close}
						done={() => {
							announce("Changed the webhook.");
							done();
						}}
					/>
				</Dialog>
			)}
			{ask?.what === "secret" && <NewSecret hook={ask.hook} close={close} done={(hook) => done({ what: "issued", hook })} />}
			{ask?.what === "issued" && <Issued hook={ask.hook} close={close} />}
			{ask?.what === "delete" && <Delete hook={ask.hook} close={close} done={() => done()} />}
		</>
	);
}

function HookForm({ hook, send, label, cancel, done }: { hook?: Webhook; send: (fields: Record<string, unknown>) => Promise<NewWebhook>; label: string; cancel: () => void; done: (h: NewWebhook) => void }) {
	const [url, setUrl] = useState(hook?.url ?? "");
	const [written] = useState(labelText(hook?.labels ?? {}));
	const [labels, setLabels] = useState(written);
	const [events, setEvents] = useState<string[]>(hook?.events ?? ["job.queued", "job.running", "job.finished"]);
	const [cloud, setCloud] = useState(hook?.format === "cloudevents");
	const [studies, setStudies] = useState(hook?.studies ?? false);
	const [problem, setProblem] = useState<Problem>();
	const [busy, setBusy] = useState(false);
	const submit = async (e: Event) => {
		e.preventDefault();
		const fields: Record<string, unknown> = { url: url.trim(), events, format: cloud ? "cloudevents" : "standard", studies };
		if (labels !== written) {
			const parsed = parseLabels(labels);
			if (parsed instanceof Problem) return setProblem(parsed);
			fields.labels = parsed ?? {};
		}
		setBusy(true);
		setProblem(undefined);
		try {
			done(await send(fields));
		} catch (error) {
			setProblem(asProblem(error));
			setBusy(false);
		}
	};
	const faultOf = (name: string) => problem?.faults.find((f) => f.location === `body.${name}`)?.message;
	const check = (checked: boolean, set: (on: boolean) => void, title: string, use: string) => (
		<label key={title}>
			<input type="checkbox" checked={checked} onChange={(e) => set(e.currentTarget.checked)} />
			<span>
				{title} <span class="hint">{use}</span>
			</span>
		</label>
	);
	return (
		<form onSubmit={(e) => void submit(e)}>
			<Field label="URL" hint="Events are POSTed here, signed." fault={faultOf("url")}>
				{(props) => <input {...props} type="url" required maxLength={2048} placeholder="https://" spellcheck={false} autocomplete="off" value={url} onInput={(e) => setUrl(e.currentTarget.value)} />}
			</Field>
			<fieldset class="outputs">
				<legend>Events</legend>
				{eventNames.map((e) => check(events.includes(e.name), (on) => setEvents(on ? [...events, e.name] : events.filter((x) => x !== e.name)), e.title, e.use))}
			</fieldset>
			<Field label="Labels" hint="Only jobs with all of them: key=value, comma-separated. Put a value with commas in quotes." fault={faultOf("labels")}>
				{(props) => <input {...props} spellcheck={false} autocomplete="off" placeholder="any job" value={labels} onInput={(e) => setLabels(e.currentTarget.value)} />}
			</Field>
			<fieldset class="outputs">
				<legend>Form</legend>
				{check(cloud, setCloud, "CloudEvents", "in place of the form of Standard Webhooks")}
				{check(studies, setStudies, "Studies", "the runs of a study too")}
			</fieldset>
			{problem && <ProblemNotice problem={problem} />}
			<div class="buttons">
				<button type="button" onClick={cancel}>
					Cancel
				</button>
				<button type="submit" class="primary" disabled={busy || events.length === 0}>
					{label}
				</button>
			</div>
		</form>
	);
}

function NewSecret({ hook, close, done }: { hook: Webhook; close: () => void; done: (h: NewWebhook) => void }) {
	const [unsafe, setUnsafe] = useState(false);
	const rotate = async () => done(await call<NewWebhook>(address(hook, "/rotate-secret"), { method: "POST", json: unsafe ? { keep_old_for: 0 } : {} }));
	return (
		<Dialog title="Replace the secret?" close={close}>
			<p>
				Messages to <strong class="url">{hook.url}</strong> carry both signatures for a day, so that you can switch your receiver.
			</p>
			<label class="check">
				<input type="checkbox" checked={unsafe} onChange={(e) => setUnsafe(e.currentTarget.checked)} />
				<span>The old secret is no longer safe: it stops now</span>
			</label>
			<div class="buttons">
				<button type="button" onClick={close}>
					Keep the current secret
				</button>
				<Action kind="primary" act={rotate}>
					Make a new secret
				</Action>
			</div>
		</Dialog>
	);
}

function Issued({ hook, close }: { hook: NewWebhook; close: () => void }) {
	return (
		<Dialog title="Secret of the webhook" close={close}>
			<p>This secret is shown only once. Store it where your receiver verifies messages with it.</p>
			<p class="key">
				<code>{hook.secret}</code> <Copy text={hook.secret ?? ""} what="the secret" />
			</p>
			<div class="buttons">
				<button type="button" class="primary" onClick={close}>
					I have stored it
				</button>
			</div>
		</Dialog>
	);
}

function Delete({ hook, close, done }: { hook: Webhook; close: () => void; done: () => void }) {
	return (
		<Dialog title="Delete the webhook?" close={close}>
			<p>
				Nothing more is sent to <strong class="url">{hook.url}</strong>, and its deliveries are deleted.
			</p>
			<div class="buttons">
				<button type="button" onClick={close}>
					Keep it
				</button>
				<Action
					kind="danger"
					act={async () => {
						await call(address(hook), { method: "DELETE" });
						announce("Deleted the webhook.");
						done();
					}}
				>
					Delete
				</Action>
			</div>
		</Dialog>
	);
}

const stateWords: Record<State, string> = { WAITING: "Waiting", PAUSED: "Paused", DELIVERED: "Delivered", GIVEN_UP: "Given up" };
const tones: Record<State, string> = { WAITING: "pending", PAUSED: "cancelled", DELIVERED: "succeeded", GIVEN_UP: "failed" };

type Filter = { state: string; webhook: string };

function Deliveries({ hooks }: { hooks: Webhook[] }) {
	const [filter, setFilter] = useState<Filter>({ state: "", webhook: "" });
	const list = usePages(
		"/webhooks/deliveries",
		{ state: filter.state, webhook_id: filter.webhook },
		(page: Got<"/webhooks/deliveries">) => page.deliveries,
		(deliveries) => (deliveries?.some((d) => d.state === "WAITING" && d.attempts < 2) ? busyInterval : interval),
	);
	const deliveries = list.data?.items ?? [];
	return (
		<Card
			title="Deliveries"
			beside={
				<div class="filters">
					<label>
						<span>State</span>
						<select value={filter.state} onChange={(e) => setFilter({ ...filter, state: e.currentTarget.value })}>
							<option value="">Any</option>
							{Object.entries(stateWords).map(([state, word]) => (
								<option key={state} value={state}>
									{word}
								</option>
							))}
						</select>
					</label>
					<label>
						<span>Webhook</span>
						<select value={filter.webhook} onChange={(e) => setFilter({ ...filter, webhook: e.currentTarget.value })}>
							<option value="">Any</option>
							{hooks.map((h) => (
								<option key={h.webhook_id} value={h.webhook_id}>
									{h.url}
								</option>
							))}
						</select>
					</label>
				</div>
			}
		>
			{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
			{list.loading && <Loading what="deliveries" />}
			{list.data && deliveries.length === 0 && <Empty>{filter.state || filter.webhook ? "No deliveries match the filter." : "Nothing was sent in the last 30 days."}</Empty>}
			{deliveries.length > 0 && (
				<table class="list stack deliveries">
					<thead>
						<tr>
							<th>Event</th>
							<th>State</th>
							<th class="right">Attempts</th>
							<th>Next attempt</th>
							<th>Last answer</th>
							<th>Recorded</th>
							<th>
								<span class="hidden">Actions</span>
							</th>
						</tr>
					</thead>
					<tbody>
						{deliveries.map((d) => (
							<Row key={d.delivery_id} delivery={d} reload={list.reload} />
						))}
					</tbody>
				</table>
			)}
			{list.data?.more && (
				<div class="more">
					<Action act={list.showMore}>Show older deliveries</Action>
				</div>
			)}
		</Card>
	);
}

function Row({ delivery: d, reload }: { delivery: Delivery; reload: () => void }) {
	const title = d.webhook_id ? eventTitle(d.event) : "Answer to a task token";
	return (
		<tr>
			<td class="name">
				<strong>{title}</strong>
				{d.study_id ? (
					<a class="id" href={linkTo("studies", d.study_id)} title={`Study ${d.study_id}`}>
						study …{d.study_id.slice(-8)}
					</a>
				) : (
					<a class="id" href={linkTo("jobs", d.job_id)} title={`Job ${d.job_id}`}>
						…{d.job_id.slice(-8)}
					</a>
				)}
				{d.url && <span class="reason">{d.url}</span>}
			</td>
			<td>
				<span class={`pill ${tones[d.state]}`}>{stateWords[d.state]}</span>
			</td>
			<td class="right figure" data-label="attempts">
				{d.attempts}
			</td>
			<td data-label="next">
				<Time at={d.next_attempt_at} />
			</td>
			<td class="answer">
				{d.response_status > 0 && <span class="figure">{d.response_status} </span>}
				{d.error && (
					<span class="clip" title={d.error}>
						{d.error}
					</span>
				)}
				{!d.response_status && !d.error && <span class="muted idle">–</span>}
			</td>
			<td data-label="recorded">
				<Time at={d.created_at} />
			</td>
			<td class="acts">
				<Action
					label={`Send again: ${title}`}
					disabled={d.state === "PAUSED"}
					act={async () => {
						await call<Delivery>(`/webhooks/deliveries/${encodeURIComponent(d.delivery_id)}/redeliver`, { method: "POST" });
						announce("The delivery is sent again.");
						reload();
					}}
				>
					Send again
				</Action>
			</td>
		</tr>
	);
}

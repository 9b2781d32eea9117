// Submission: drop a zip, choose options, and see each fault that the service finds next to what it concerns.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Fault, get, type Got, type Job, Problem, type Schemas, upload } from "../api";
import { ArgumentsField, argumentsOf, type ControllerDraft, controllerOf, InterfaceField, ProgramField, useControllers } from "../controller";
import { DropZone } from "../dropzone";
import { bytes, dateTime, percent, plural } from "../format";
import { asProblem, useIntention, useLoad } from "../load";
import { Card, Empty, Faults, Field, Loading, ProblemNotice, Title } from "../parts";
import { go } from "../route";
import { labelText, parseLabels } from "./labels";

/** Outputs beyond those that every run writes, with their use on this page. */
const outputs = [
	{ name: "edgedata", title: "Edge data", use: "colours the map by speed and density" },
	{ name: "fcd", title: "Vehicle positions (FCD)", use: "for other programs; large" },
	{ name: "emission", title: "Emissions", use: "CO₂, NOₓ, PMₓ and fuel; large" },
	{ name: "queue", title: "Queues", use: "queue lengths per lane" },
	{ name: "lanechange", title: "Lane changes", use: "each with its reason" },
	{ name: "stop", title: "Stops", use: "of buses and others, with delays" },
];

/** What can be switched on about a run. */
const switches = [
	{ name: "replay", title: "Recording", use: "shows vehicles and signals moving on the map, while it runs and afterwards" },
	{ name: "unfinished_trips", title: "Unfinished trips", use: "also counts vehicles still on the road at the end" },
	{ name: "strict", title: "Strict", use: "refuses a scenario of which SUMO would drop or ignore a part" },
] as const;

/** The form's fields, as text: the service validates them. */
const blank = {
	scenario_id: "",
	scenario: "",
	sumo_files_s3_url: "",
	config_file: "",
	seed: "",
	begin: "",
	end: "",
	step_length: "",
	scale: "",
	sumo_version: "",
	cache: "", // off
	cpu_request: "2",
	memory_gi: "4",
	priority: "normal",
	timeout_seconds: "",
	labels: "",
	program: "", // "", controller or tool; it and the next five make the fields controller and tool
	file: "",
	interface: "traci",
	tool: "duaIterate",
	args: "",
	keep_as: "",
};
type Fields = typeof blank;

/** The fields that make the objects controller and tool. */
const ofProgram: readonly string[] = ["program", "file", "interface", "tool", "args", "keep_as"] satisfies (keyof Fields)[];

/** The tools of SUMO that may run. */
const tools = ["duaIterate", "marouter", "routeSampler", "netconvert", "od2trips", "randomTrips", "cutRoutes", "tlsCycleAdaptation", "tlsCoordinator"] as const satisfies readonly Schemas["Tool"]["name"][];

/** The object that says what runs. */
function programOf(fields: Fields): Schemas["Controller"] | Schemas["Tool"] {
	if (fields.program === "controller") return controllerOf(fields);
	return { name: fields.tool as (typeof tools)[number], args: argumentsOf(fields.args), ...(fields.keep_as.trim() && { keep_as: fields.keep_as.trim() }) };
}

/** Where a scenario comes from, and the form's field for it. */
const sources = { zip: "", stored: "scenario", s3: "sumo_files_s3_url" } as const;
type Source = keyof typeof sources;

/** Where faults of a controller or tool are. */
const programFaults = ["controller", "controller.file", "controller.interface", "controller.args", "tool.name", "tool.args", "tool.keep_as"];

/** The form, filled in like the original job or with a stored scenario if there is one. */
export function Submit({ original, scenario }: { original?: string; scenario?: string }) {
	const given = useLoad(`${original} ${scenario}`, async (signal): Promise<{ job?: Job; fields: Fields }> => {
		if (original) {
			const job = await get<"/jobs/{id}">(`/jobs/${encodeURIComponent(original)}` as "/jobs/{id}", signal);
			return { job, fields: fieldsOf(job) };
		}
		if (!scenario) return { fields: blank };
		const { id, name } = await get<"/scenarios/{id}">(`/scenarios/${encodeURIComponent(scenario)}` as "/scenarios/{id}", signal);
		return { fields: { ...blank, scenario: id, scenario_id: name.slice(0, 100) } };
	});
	if (!given.data && (original || scenario)) {
		return (
			<>
				<Title>Submit a job</Title>
				{given.problem ? <ProblemNotice problem={given.problem} retry={given.reload} /> : <Loading what={original ? "the job" : "the scenario"} />}
			</>
		);
	}
	return <Form original={given.data?.job} given={given.data?.fields ?? blank} />;
}

function fieldsOf(job: Job): Fields {
	const text = (v: number | null | undefined) => (v == null ? "" : String(v));
	return {
		...blank,
		scenario_id: job.scenario_id,
		scenario: job.scenario,
		config_file: job.config_file,
		seed: text(job.seed),
		begin: text(job.options.begin),
		end: text(job.options.end),
		step_length: text(job.options.step_length),
		scale: text(job.options.scale),
		sumo_version: job.options.sumo_version ?? "",
		cpu_request: text(job.cpu_request),
		memory_gi: text(job.memory_gi),
		priority: job.priority,
		timeout_seconds: text(job.timeout_seconds),
		labels: labelText(job.labels),
		...(job.options.controller && { program: "controller", file: job.options.controller.file, interface: job.options.controller.interface ?? "traci" }),
		...(job.options.tool && { program: "tool", tool: job.options.tool.name, keep_as: job.options.tool.keep_as ?? "" }),
		args: (job.options.controller ?? job.options.tool)?.args?.join("\n") ?? "",
	};
}

function Form({ original, given }: { original?: Job; given: Fields }) {
	const [fields, setFields] = useState<Fields>(given);
	const [ways, setWays] = useState<string[]>(original ? switches.map((s) => s.name).filter((name) => original.options[name]) : []);
	const programs = useControllers();
	const [chosen, setChosen] = useState<string[]>(original ? (original.options.outputs ?? []) : ["edgedata"]);
	const [file, setFile] = useState<File>();
	const [source, setSource] = useState<Source>(given.scenario ? "stored" : "zip");
	const [sending, setSending] = useState<{ share: number; stop: () => void }>();
	const [problem, setProblem] = useState<Problem>();
	const keyOf = useIntention();
	const leave = useRef<AbortController | undefined>(undefined);
	useEffect(() => () => leave.current?.abort(), []);

	const set = (name: keyof Fields, value: string) => {
		setFields((f) => ({ ...f, [name]: value }));
		setProblem((p) => p && (ofProgram.includes(name) ? programFaults.concat("tool").reduce<Problem | undefined>((left, at) => left && without(left, at), p) : without(p, name)));
	};
	const take = (f: File) => {
		setFile(f);
		setProblem(undefined);
		setFields((now) => ({ ...now, scenario_id: now.scenario_id && now.scenario_id !== nameOf(file) ? now.scenario_id : nameOf(f) }));
	};

	const submit = async (event: SubmitEvent) => {
		event.preventDefault();
		const check = event.submitter?.getAttribute("name") === "check";
		const labels = parseLabels(fields.labels);
		if (labels instanceof Problem) return setProblem(labels);
		// The fields precede the file, so that their faults are reported before the upload.
		const form = new FormData();
		for (const [name, value] of Object.entries(fields)) {
			const elsewhere = name === "labels" || ofProgram.includes(name) || (Object.values<string>(sources).includes(name) && name !== sources[source]);
			if (!elsewhere && value.trim() !== "") form.set(name, value.trim());
		}
		if (labels) form.set("labels", JSON.stringify(labels));
		if (fields.program) form.set(fields.program, JSON.stringify(programOf(fields)));
		// Neither a tool nor a check writes any of these.
		if (chosen.length > 0 && !check && fields.program !== "tool") form.set("outputs", chosen.join(","));
		for (const name of ways) {
			// Only what SUMO simulates can be recorded. What an earlier job recorded of its run stays.
			if (name !== "replay") form.set(name, "true");
			else if (!check && fields.program !== "tool") form.set(name, original?.options.replay ? JSON.stringify(original.options.replay) : "true");
		}
		if (check) {
			form.set("check", "true");
			form.delete("cache"); // a check has no results
		}
		const content = JSON.stringify([...form]) + (source === "zip" ? `${file?.name}/${file?.size}/${file?.lastModified}` : "");
		if (source === "zip" && file) form.set("sumo_files", file, file.name);
		const key = keyOf(content);

		const stop = (leave.current = new AbortController());
		setProblem(undefined);
		setSending({ share: 0, stop: () => stop.abort() });
		try {
			const job = await upload<Job>("/jobs", form, { "Idempotency-Key": key }, (share) => setSending({ share, stop: () => stop.abort() }), stop.signal);
			go("jobs", job.job_id);
		} catch (error) {
			setSending(undefined);
			if (stop.signal.aborted) return;
			setProblem(asProblem(error));
		}
	};

	const faultOf = (name: string): string | undefined => problem?.faults.find((f) => f.location === `body.${name}`)?.message;
	const own = new Set(Object.keys(blank).map((name) => `body.${name}`));
	for (const name of programFaults) own.add(`body.${name}`);
	const faultOfProgram = (...names: string[]) => names.map(faultOf).find(Boolean);
	const controller = {
		value: fields,
		set,
		fault: (name: keyof ControllerDraft) => (name === "args" ? faultOfProgram("controller.args", "tool.args") : faultOf(`controller.${name}`)),
	};
	const inScenario = problem?.faults.filter((f) => !own.has(f.location ?? "")) ?? [];
	const text = (name: keyof Fields, label: string, hint?: string, more: Record<string, unknown> = {}) => (
		<Field label={label} hint={hint} fault={faultOf(name)}>
			{(props) => <input {...props} {...more} name={name} value={fields[name]} onInput={(e) => set(name, e.currentTarget.value)} />}
		</Field>
	);
	const ready = source === "zip" ? file !== undefined : fields[sources[source]].trim() !== "";
	const numeric = { inputMode: "decimal", autocomplete: "off" };

	return (
		<form class="submit" onSubmit={(e) => void submit(e)}>
			<Title>Submit a job</Title>
			<Card title="Scenario">
				<fieldset class="sources">
					<legend class="hidden">Where the scenario comes from</legend>
					{(
						[
							["zip", "Upload a zip"],
							["stored", "A stored scenario"],
							["s3", "From S3"],
						] as const
					).map(([s, title]) => (
						<label key={s}>
							<input type="radio" name="source" checked={source === s} onChange={() => setSource(s)} />
							{title}
						</label>
					))}
				</fieldset>
				{source === "zip" && <ZipZone file={file} take={take} faulty={inScenario.length > 0} />}
				{source === "stored" && <Stored value={fields.scenario} fault={faultOf("scenario")} original={original} choose={(id) => set("scenario", id)} />}
				{source === "s3" && text("sumo_files_s3_url", "Address of the zip in S3", "In a bucket that the operator has opened for you.", { placeholder: "s3://bucket/scenario.zip", required: true, spellcheck: false })}
				{problem && <Refusal problem={problem} inScenario={inScenario} />}
			</Card>

			<Card title="Run">
				<div class="grid">
					{text("scenario_id", "Name", "Your name for this run.", { required: true, maxLength: 100, autocomplete: "off" })}
					{text("config_file", "Configuration", "Which .sumocfg; required if the zip has several.", { spellcheck: false, autocomplete: "off" })}
					{text("seed", "Seed", "Empty for the scenario's.", { inputMode: "numeric", autocomplete: "off" })}
					{text("scale", "Demand scale", "2 doubles the number of vehicles.", numeric)}
					{text("begin", "Begin (s)", "Simulated time; empty for the scenario's.", numeric)}
					{text("end", "End (s)", undefined, numeric)}
					{text("step_length", "Step length (s)", undefined, numeric)}
					<Versions value={fields.sumo_version} fault={faultOf("sumo_version")} choose={(version) => set("sumo_version", version)} />
					<Field label="Cache" hint="Results of an earlier run that is the same." fault={faultOf("cache")}>
						{(props) => (
							<select {...props} name="cache" value={fields.cache} onChange={(e) => set("cache", e.currentTarget.value)}>
								<option value="">Off: run, and keep it to this job</option>
								<option value="use">Use: take them if there are any</option>
								<option value="refresh">Refresh: run, and let later jobs take them</option>
							</select>
						)}
					</Field>
				</div>
				<fieldset class="outputs">
					<legend>Recording, counting and checking</legend>
					{switches.map((s) => (
						<label key={s.name}>
							<input type="checkbox" checked={ways.includes(s.name)} onChange={(e) => setWays(e.currentTarget.checked ? [...ways, s.name] : ways.filter((x) => x !== s.name))} />
							<span>
								{s.title} <span class="hint">{s.use}</span>
							</span>
						</label>
					))}
				</fieldset>
				<fieldset class="outputs">
					<legend>Outputs in addition to summary, trip info and statistics</legend>
					{outputs.map((o) => (
						<label key={o.name}>
							<input type="checkbox" checked={chosen.includes(o.name)} onChange={(e) => setChosen(e.currentTarget.checked ? [...chosen, o.name] : chosen.filter((x) => x !== o.name))} />
							<span>
								{o.title} <span class="hint">{o.use}</span>
							</span>
						</label>
					))}
				</fieldset>
			</Card>

			{(programs || fields.program) && (
				<Card title="Controller or tool">
					<div class="grid">
						<Field label="What runs" hint="A controller is a Python program in the scenario that steers SUMO." fault={faultOfProgram("controller", "tool")}>
							{(props) => (
								<select {...props} name="program" value={fields.program} onChange={(e) => set("program", e.currentTarget.value)}>
									<option value="">SUMO alone</option>
									<option value="controller">A controller</option>
									<option value="tool">A tool of SUMO's</option>
								</select>
							)}
						</Field>
						{fields.program === "controller" && (
							<>
								<ProgramField {...controller} hint="Its path in the scenario." required />
								<InterfaceField {...controller} />
							</>
						)}
						{fields.program === "tool" && (
							<>
								<Field label="Tool" fault={faultOf("tool.name")}>
									{(props) => (
										<select {...props} name="tool" value={fields.tool} onChange={(e) => set("tool", e.currentTarget.value)}>
											{tools.map((name) => (
												<option key={name} value={name}>
													{name}
												</option>
											))}
										</select>
									)}
								</Field>
								<Field label="Keep as" hint="Stores the scenario with what the tool made, under this name." fault={faultOf("tool.keep_as")}>
									{(props) => <input {...props} name="keep_as" maxLength={200} autocomplete="off" value={fields.keep_as} onInput={(e) => set("keep_as", e.currentTarget.value)} />}
								</Field>
							</>
						)}
					</div>
					{fields.program && <ArgumentsField {...controller} />}
				</Card>
			)}

			<Card title="Resources and priority">
				<div class="grid">
					{text("cpu_request", "Cores", undefined, { inputMode: "numeric" })}
					{text("memory_gi", "Memory (GiB)", undefined, { inputMode: "numeric" })}
					<Field label="Priority" fault={faultOf("priority")}>
						{(props) => (
							<select {...props} value={fields.priority} onChange={(e) => set("priority", e.currentTarget.value)}>
								<option value="low">Low</option>
								<option value="normal">Normal</option>
								<option value="high">High</option>
							</select>
						)}
					</Field>
					{text("timeout_seconds", "Time limit (s)", "Wall clock; empty for the default.", { inputMode: "numeric" })}
					{text("labels", "Labels", "key=value, comma-separated. Put a value with commas in quotes.", { spellcheck: false, autocomplete: "off", placeholder: "study=north, variant=b" })}
				</div>
			</Card>

			<div class="send">
				<button class="primary" type="submit" disabled={Boolean(sending) || !ready}>
					Submit
				</button>
				<button type="submit" name="check" disabled={Boolean(sending) || !ready} title="SUMO loads the scenario and says what is wrong with it, without simulating">
					Check
				</button>
				{sending && (
					<>
						<span class="progress" role="status">
							<progress max={1} value={sending.share} aria-label="Upload" />
							{sending.share < 1 ? `Uploading, ${percent(sending.share)}` : "Checking the scenario…"}
						</span>
						<button type="button" onClick={sending.stop}>
							Stop
						</button>
					</>
				)}
				{!sending && !ready && <span class="muted">{source === "zip" ? "Drop a zip first." : "Choose a scenario first."}</span>}
			</div>
		</form>
	);
}

const nameOf = (file: File | undefined): string => file?.name.replace(/\.zip$/i, "").slice(0, 100) ?? "";

/** The problem without the faults of a field that is being edited. */
function without(p: Problem, name: string): Problem | undefined {
	const left = p.faults.filter((f) => f.location !== `body.${name}`);
	if (left.length === p.faults.length) return p;
	return left.length === 0 ? undefined : new Problem(p.status, p.code, p.title, p.message, left, p.requestId);
}

/** Why a submission was rejected: the scenario's faults by file; faults of fields appear at the fields. */
function Refusal({ problem, inScenario }: { problem: Problem; inScenario: Fault[] }) {
	const box = useRef<HTMLDivElement>(null);
	useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [problem]);
	if (inScenario.length === 0) {
		return (
			<div ref={box}>
				<ProblemNotice problem={problem.faults.length > 0 ? new Problem(problem.status, problem.code, problem.title, "Fix the fields marked below.", [], problem.requestId) : problem} />
			</div>
		);
	}
	const files = new Map<string, Fault[]>();
	for (const f of inScenario) {
		const [file = "", line] = (f.location ?? "").split(/:(?=\d+$)/);
		files.set(file, [...(files.get(file) ?? []), { ...f, location: line && `line ${line}` }]);
	}
	for (const faults of files.values()) faults.sort((a, b) => lineOf(a) - lineOf(b));
	return (
		<div class="notice bad" role="alert" ref={box}>
			<p>
				<strong>
					{inScenario.length === 1 ? "One problem was found" : `${inScenario.length} problems were found`} in the scenario.
				</strong>{" "}
				Nothing was stored. Fix the files, zip them again, and drop the new zip.
			</p>
			{[...files].map(([file, faults]) => (
				<div key={file} class="file">
					{file && <h3>{file}</h3>}
					<Faults faults={faults} />
				</div>
			))}
		</div>
	);
}

const lineOf = (f: Fault): number => Number(f.location?.replace("line ", "")) || 0;

/** The versions of SUMO on offer. */
function Versions({ value, fault, choose }: { value: string; fault: string | undefined; choose: (version: string) => void }) {
	const list = useLoad("versions", (signal) => get<"/versions">("/versions", signal));
	const versions = (list.data?.versions ?? []).filter((v) => v.installed || v.version === value).reverse();
	const standard = versions.find((v) => v.default);
	return (
		<Field label="SUMO version" hint={list.data?.notes.join(" ") || "Older versions give other numbers."} fault={fault}>
			{(props) => (
				<select {...props} name="sumo_version" value={value} onChange={(e) => choose(e.currentTarget.value)}>
					<option value="">{standard ? `Default (${standard.version})` : "Default"}</option>
					{versions.map((v) => (
						<option key={v.version} value={v.version}>
							{v.version}
							{v.unsupported && ", unsupported"}
							{!v.installed && ", not installed"}
						</option>
					))}
					{list.data && value && !versions.some((v) => v.version === value) && <option value={value}>{value}, no longer offered</option>}
				</select>
			)}
		</Field>
	);
}

type Scenario = Got<"/scenarios">["scenarios"][number];

/** A scenario that the service keeps from an earlier upload. */
function Stored({ value, fault, original, choose }: { value: string; fault: string | undefined; original: Job | undefined; choose: (id: string) => void }) {
	const stored = useLoad("scenarios", (signal) => get<"/scenarios">("/scenarios?limit=200", signal));
	if (stored.problem) return <ProblemNotice problem={stored.problem} retry={stored.reload} />;
	if (!stored.data) return <Loading what="scenarios" />;
	const { scenarios } = stored.data;
	if (scenarios.length === 0) return <Empty>No stored scenarios yet. Every upload is stored, to be run again.</Empty>;
	const known = scenarios.find((s) => s.id === value);
	return (
		<Field label="Stored scenario" hint={known && about(known)} fault={fault}>
			{(props) => (
				<select {...props} value={value} onChange={(e) => choose(e.currentTarget.value)}>
					<option value="">Choose one</option>
					{original && !known && value === original.scenario && <option value={value}>Scenario of {original.scenario_id}</option>}
					{scenarios.map((s) => (
						<option key={s.id} value={s.id}>
							{s.name || "unnamed"} ({bytes(s.size)}, {dateTime(new Date(s.created_at))}, {s.id.slice(0, 8)}…)
						</option>
					))}
				</select>
			)}
		</Field>
	);
}

/** What a scenario contains, by its first configuration. */
function about(s: Scenario): string {
	const config = s.configs[0];
	const facts = s.configs.length > 1 ? [`${s.configs.length} configurations: ${s.configs.map((c) => c.path).join(", ")}`] : [];
	if (config?.network) facts.push(plural(config.network.edges, "edge"), plural(config.network.traffic_lights, "traffic light"));
	if (config?.demand) {
		const { vehicles, flows, persons } = config.demand;
		if (vehicles > 0) facts.push(plural(vehicles, "vehicle"));
		if (flows > 0) facts.push(plural(flows, "flow"));
		if (persons > 0) facts.push(plural(persons, "person"));
	}
	return facts.join(" · ");
}

function ZipZone({ file, take, faulty }: { file: File | undefined; take: (f: File) => void; faulty: boolean }) {
	const [remark, setRemark] = useState("");

	const accept = (files: FileList) => {
		const first = files[0]!;
		if (!/\.zip$/i.test(first.name)) {
			setRemark(`${first.name} is not a zip. Pack the .sumocfg and the files it names into one zip.`);
			return;
		}
		setRemark(files.length > 1 ? "One zip makes one job: only the first was taken." : "");
		take(first);
	};

	return (
		<DropZone
			id="scenario-zip"
			accept=".zip,application/zip"
			hint="scenario-hint"
			faulty={faulty}
			label={
				file ? (
					<>
						<strong>{file.name}</strong> <span class="muted">{bytes(file.size)}</span>
					</>
				) : (
					<strong>Drop a scenario zip here, or choose one</strong>
				)
			}
			take={accept}
		>
			<span class="hint" id="scenario-hint">
				{file ? "Drop another to replace it." : "A zip with a .sumocfg and the files it names. It is checked before it runs."}
			</span>
			{remark && (
				<span class="fault" role="alert">
					{remark}
				</span>
			)}
		</DropZone>
	);
}

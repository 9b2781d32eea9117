// Submitting: a zip is dropped, options are chosen, and what the service finds wrong is shown beside what it concerns.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Fault, type Job, Problem, upload } from "../api";
import { bytes, percent } from "../format";
import { asProblem } from "../load";
import { Card, Faults, Field, ProblemNotice, Title } from "../parts";
import { go } from "../route";

/** Outputs beyond those that every run writes, with what they are good for here. */
const outputs = [
	{ name: "edgedata", title: "Edge data", use: "colours the map by speed and density" },
	{ name: "fcd", title: "Vehicle positions (FCD)", use: "plays moving vehicles back; large" },
	{ name: "emission", title: "Emissions", use: "CO₂, NOₓ, PMₓ and fuel; large" },
	{ name: "queue", title: "Queues", use: "queue lengths per lane" },
	{ name: "lanechange", title: "Lane changes", use: "each with its reason" },
];

/** The form's fields, as text: the service says what of it is not as it should be. */
const blank = {
	scenario_id: "",
	sumo_files_s3_url: "",
	config_file: "",
	seed: "",
	begin: "",
	end: "",
	step_length: "",
	scale: "",
	sumo_version: "",
	cpu_request: "2",
	memory_gi: "4",
	priority: "normal",
	timeout_seconds: "",
	labels: "",
};
type Fields = typeof blank;

export function Submit() {
	const [fields, setFields] = useState<Fields>(blank);
	const [chosen, setChosen] = useState<string[]>(["edgedata"]);
	const [file, setFile] = useState<File>();
	const [fromS3, setFromS3] = useState(false);
	const [sending, setSending] = useState<{ share: number; stop: () => void }>();
	const [problem, setProblem] = useState<Problem>();
	// One key for one intention: a second press after a broken connection makes no second job.
	const intention = useRef({ of: "", key: "" });
	const leave = useRef<AbortController | undefined>(undefined);
	useEffect(() => () => leave.current?.abort(), []);

	const set = (name: keyof Fields, value: string) => {
		setFields((f) => ({ ...f, [name]: value }));
		setProblem((p) => p && without(p, name));
	};
	const take = (f: File) => {
		setFile(f);
		setProblem(undefined);
		setFields((now) => ({ ...now, scenario_id: now.scenario_id && now.scenario_id !== nameOf(file) ? now.scenario_id : nameOf(f) }));
	};

	const submit = async (event: Event) => {
		event.preventDefault();
		const labels = parseLabels(fields.labels);
		if (labels instanceof Problem) return setProblem(labels);
		// The fields go before the file, so that a fault in them is told before the upload.
		const form = new FormData();
		for (const [name, value] of Object.entries(fields)) {
			if (name !== "labels" && name !== "sumo_files_s3_url" && value.trim() !== "") form.set(name, value.trim());
		}
		if (labels) form.set("labels", JSON.stringify(labels));
		if (chosen.length > 0) form.set("outputs", chosen.join(","));
		const said = JSON.stringify([...form]) + (fromS3 ? fields.sumo_files_s3_url : `${file?.name}/${file?.size}/${file?.lastModified}`);
		if (fromS3) form.set("sumo_files_s3_url", fields.sumo_files_s3_url.trim());
		else if (file) form.set("sumo_files", file, file.name);
		if (intention.current.of !== said) intention.current = { of: said, key: randomKey() };

		const stop = (leave.current = new AbortController());
		setProblem(undefined);
		setSending({ share: 0, stop: () => stop.abort() });
		try {
			const job = await upload<Job>("/jobs", form, { "Idempotency-Key": intention.current.key }, (share) => setSending({ share, stop: () => stop.abort() }), stop.signal);
			go("jobs", job.job_id);
		} catch (error) {
			setSending(undefined);
			if (stop.signal.aborted) return;
			setProblem(asProblem(error));
		}
	};

	const faultOf = (name: string): string | undefined => problem?.faults.find((f) => f.location === `body.${name}`)?.message;
	const own = new Set(Object.keys(blank).map((name) => `body.${name}`));
	const inScenario = problem?.faults.filter((f) => !own.has(f.location ?? "")) ?? [];
	const text = (name: keyof Fields, label: string, hint?: string, more: Record<string, unknown> = {}) => (
		<Field label={label} hint={hint} fault={faultOf(name)}>
			{(props) => <input {...props} {...more} name={name} value={fields[name]} onInput={(e) => set(name, e.currentTarget.value)} />}
		</Field>
	);
	const numeric = { inputMode: "decimal", autocomplete: "off" };

	return (
		<form class="submit" onSubmit={(e) => void submit(e)}>
			<Title>Submit a job</Title>
			<Card title="Scenario">
				{fromS3 ? (
					<>
						{text("sumo_files_s3_url", "Address of the zip in S3", "In a bucket that the operator has opened for you.", { placeholder: "s3://bucket/scenario.zip", required: true, spellcheck: false })}
						<button type="button" class="quiet" onClick={() => setFromS3(false)}>
							Upload a zip instead
						</button>
					</>
				) : (
					<>
						<DropZone file={file} take={take} faulty={inScenario.length > 0} />
						<button type="button" class="quiet" onClick={() => setFromS3(true)}>
							Read it from S3 instead
						</button>
					</>
				)}
				{problem && <Refusal problem={problem} inScenario={inScenario} />}
			</Card>

			<Card title="Run">
				<div class="grid">
					{text("scenario_id", "Name", "Yours, to find the run by.", { required: true, maxLength: 100, autocomplete: "off" })}
					{text("config_file", "Configuration", "Which .sumocfg; needed when the zip has several.", { spellcheck: false, autocomplete: "off" })}
					{text("seed", "Seed", "Empty for SUMO's own, 23423.", { inputMode: "numeric", autocomplete: "off" })}
					{text("scale", "Demand scale", "2 doubles every vehicle.", numeric)}
					{text("begin", "Begin (s)", "Simulated time; empty for the scenario's.", numeric)}
					{text("end", "End (s)", undefined, numeric)}
					{text("step_length", "Step length (s)", undefined, numeric)}
					{text("sumo_version", "SUMO version", "Empty for the usual one.", { autocomplete: "off" })}
				</div>
				<fieldset class="outputs">
					<legend>Outputs beside summary, trip infos and statistics</legend>
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

			<Card title="Resources and order">
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
					{text("timeout_seconds", "Time limit (s)", "Wall clock; empty for the service's.", { inputMode: "numeric" })}
					{text("labels", "Labels", "key=value, separated by commas.", { spellcheck: false, autocomplete: "off", placeholder: "study=north, variant=b" })}
				</div>
			</Card>

			<div class="send">
				<button class="primary" type="submit" disabled={Boolean(sending) || (fromS3 ? !fields.sumo_files_s3_url : !file)}>
					Submit
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
				{!sending && !file && !fromS3 && <span class="muted">Drop a zip first.</span>}
			</div>
		</form>
	);
}

const nameOf = (file: File | undefined): string => file?.name.replace(/\.zip$/i, "").slice(0, 100) ?? "";

/** The problem without what it says of a field that is being mended. */
function without(p: Problem, name: string): Problem | undefined {
	const left = p.faults.filter((f) => f.location !== `body.${name}`);
	if (left.length === p.faults.length) return p;
	return left.length === 0 ? undefined : new Problem(p.status, p.code, p.title, p.message, left, p.requestId);
}

function parseLabels(text: string): Record<string, string> | undefined | Problem {
	const labels: Record<string, string> = {};
	for (const pair of text.split(",").map((s) => s.trim()).filter(Boolean)) {
		const at = pair.indexOf("=");
		if (at < 1) {
			return new Problem(0, "", "Check the labels", "A label is not of the form key=value.", [{ location: "body.labels", message: `"${pair}" is not of the form key=value` }]);
		}
		labels[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
	}
	return Object.keys(labels).length > 0 ? labels : undefined;
}

const randomKey = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

/** Why a submission was refused: faults of the scenario by file; those of fields stand beside the fields. */
function Refusal({ problem, inScenario }: { problem: Problem; inScenario: Fault[] }) {
	const box = useRef<HTMLDivElement>(null);
	useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [problem]);
	if (inScenario.length === 0) {
		return (
			<div ref={box}>
				<ProblemNotice problem={problem.faults.length > 0 ? new Problem(problem.status, problem.code, problem.title, "Mend the fields that are marked below.", [], problem.requestId) : problem} />
			</div>
		);
	}
	const files = new Map<string, Fault[]>();
	for (const f of inScenario) {
		const [file = "", line] = (f.location ?? "").split(/:(?=\d+$)/);
		files.set(file, [...(files.get(file) ?? []), { ...f, location: line && `line ${line}` }]);
	}
	return (
		<div class="notice bad" role="alert" ref={box}>
			<p>
				<strong>
					{inScenario.length === 1 ? "One problem was found" : `${inScenario.length} problems were found`} in the scenario.
				</strong>{" "}
				Nothing was kept of it. Mend the files, make a new zip, and drop it again.
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

function DropZone({ file, take, faulty }: { file: File | undefined; take: (f: File) => void; faulty: boolean }) {
	const [over, setOver] = useState(false);
	const [remark, setRemark] = useState("");
	const input = useRef<HTMLInputElement>(null);

	const accept = (files: FileList | null | undefined) => {
		const first = files?.[0];
		if (!first) return;
		if (!/\.zip$/i.test(first.name)) {
			setRemark(`${first.name} is not a zip. Pack the .sumocfg and the files that it names into one zip.`);
			return;
		}
		setRemark(files.length > 1 ? "One zip makes one job; the first one was taken." : "");
		take(first);
	};
	// A zip that misses the zone by a little must not replace the page.
	useEffect(() => {
		const drag = (e: DragEvent) => {
			e.preventDefault();
			setOver(e.type === "dragover");
			if (e.type === "drop") accept(e.dataTransfer?.files);
		};
		const kinds = ["dragover", "dragleave", "drop"] as const;
		for (const kind of kinds) addEventListener(kind, drag);
		return () => kinds.forEach((kind) => removeEventListener(kind, drag));
	});

	return (
		<div class={`dropzone${over ? " over" : ""}${faulty ? " faulty" : ""}`}>
			<input
				ref={input}
				id="scenario-zip"
				type="file"
				accept=".zip,application/zip"
				aria-describedby="scenario-hint"
				onChange={(e) => {
					accept(e.currentTarget.files);
					e.currentTarget.value = ""; // so that the same file, mended, can be chosen again
				}}
			/>
			<label for="scenario-zip">
				{file ? (
					<>
						<strong>{file.name}</strong> <span class="muted">{bytes(file.size)}</span>
					</>
				) : (
					<strong>Drop a scenario zip here, or choose one</strong>
				)}
			</label>
			<span class="hint" id="scenario-hint">
				{file ? "Drop another to replace it." : "A zip with a .sumocfg and the files it names. It is checked before it runs."}
			</span>
			{remark && (
				<span class="fault" role="alert">
					{remark}
				</span>
			)}
		</div>
	);
}

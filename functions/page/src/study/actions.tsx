// What one can do to a study.
import { useState } from "preact/hooks";
import { call, download, type Problem, randomKey, type Schemas } from "../api";
import { exactly, plural } from "../format";
import { asProblem, useIntention } from "../load";
import { Action, announce, Dialog, Field, ProblemNotice } from "../parts";
import { go } from "../route";
import { addressOf, isOpen, type Standing, type Study } from "./live";
import { aimOf, faultAt, seedsOf } from "./plan";

type Ask = "extend" | "delete";

export function Actions({ study, standing, changed }: { study: Study; standing: Standing; changed: () => void }) {
	const [ask, setAsk] = useState<Ask>();
	const id = study.study_id!;
	const open = isOpen(standing.status);
	const lost = standing.runs.failed + standing.runs.cancelled;
	const unstarted = standing.runs.planned - standing.runs.done;
	const close = () => setAsk(undefined);
	const file = (kind: string) => `${study.name}-${kind}`.replace(/[^\p{L}\p{N}._-]+/gu, "-");
	return (
		<span class="actions">
			{open ? (
				<Action
					kind="danger"
					disabled={study.cancel_requested}
					act={async () => {
						await call(addressOf(id), { method: "DELETE" });
						announce("Cancelling the study. What has ended is kept.");
						changed();
					}}
				>
					{study.cancel_requested ? "Cancelling…" : "Cancel"}
				</Action>
			) : (
				lost + unstarted > 0 && (
					<Action
						act={async () => {
							const { again } = await call<Schemas["RetryStudyAnswerBody"]>(addressOf(id, "/retry"), { method: "POST", headers: { "Idempotency-Key": randomKey() } });
							announce(`${plural(again, "run")} will run again.`);
							changed();
						}}
					>
						Retry missing runs
					</Action>
				)
			)}
			<button type="button" disabled={open && study.cancel_requested} onClick={() => setAsk("extend")}>
				Extend…
			</button>
			<Action act={() => download(addressOf(id, "/table?format=csv"), `${file("table")}.csv`)}>
				Table (CSV)
			</Action>
			<Action act={() => download(addressOf(id, "/table?format=parquet"), `${file("table")}.parquet`)}>
				Table (Parquet)
			</Action>
			<Action act={() => download(addressOf(id, "/report.html"), `${file("report")}.html`)}>
				Report (HTML)
			</Action>
			{!open && (
				<button type="button" class="quiet" onClick={() => setAsk("delete")}>
					Delete…
				</button>
			)}
			{ask === "extend" && (
				<Dialog title="Extend the study" close={close}>
					<Extend
						study={study}
						cancel={close}
						done={() => {
							close();
							announce("Extended the study.");
							changed();
						}}
					/>
				</Dialog>
			)}
			{ask === "delete" && (
				<Dialog title="Delete this study?" close={close}>
					<p>
						This permanently deletes {study.name}, its {plural(standing.runs.planned, "run")} and all their result files.
					</p>
					<div class="buttons">
						<button type="button" onClick={close}>
							Keep it
						</button>
						<Action
							kind="danger"
							act={async () => {
								await call(addressOf(id, "?purge=true"), { method: "DELETE" });
								announce("Study deleted.");
								go("studies");
							}}
						>
							Delete
						</Action>
					</div>
				</Dialog>
			)}
		</span>
	);
}

/** The seeds after the last one, as many as there are. */
function nextSeeds(seeds: number[]): string {
	const last = seeds.reduce((a, b) => Math.max(a, b), 0);
	return `${last + 1}:${last + Math.max(1, seeds.length)}`;
}

function Extend({ study, cancel, done }: { study: Study; cancel: () => void; done: () => void }) {
	const until = study.plan.replications.until;
	const [how, setHow] = useState<"seeds" | "until">(until ? "until" : "seeds");
	const [seeds, setSeeds] = useState(nextSeeds(study.seeds ?? []));
	const [aim, setAim] = useState(until?.relative_half_width ? String(exactly(until.relative_half_width)) : "5");
	const [max, setMax] = useState(String(Math.max(until?.max ?? 0, 2 * (study.seeds?.length ?? 0))));
	const [problem, setProblem] = useState<Problem>();
	const [busy, setBusy] = useState(false);
	const keyOf = useIntention();
	const fault = (location: string) => problem && faultAt(problem.faults, `body.replications${location}`);
	const submit = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		setProblem(undefined);
		const of = until?.of === "difference" ? "difference" : undefined;
		const replications = how === "seeds" ? { seeds: seedsOf(seeds) } : { until: { ...until, ...aimOf({ aim, max, of }) } };
		try {
			await call(addressOf(study.study_id!, "/extend"), { method: "POST", json: { replications }, headers: { "Idempotency-Key": keyOf(JSON.stringify(replications)) } });
			done();
		} catch (error) {
			setProblem(asProblem(error));
			setBusy(false);
		}
	};
	const input = (label: string, value: string, set: (v: string) => void, location: string, hint?: string) => (
		<Field label={label} hint={hint} fault={fault(location)}>
			{(props) => <input {...props} autocomplete="off" required value={value} onInput={(e) => set(e.currentTarget.value)} />}
		</Field>
	);
	return (
		<form onSubmit={(e) => void submit(e)}>
			<fieldset class="sources">
				<legend class="hidden">How to extend it</legend>
				{(
					[
						["seeds", "More seeds"],
						["until", "Another aim"],
					] as const
				).map(([name, title]) => (
					<label key={name}>
						<input type="radio" name="extension" checked={how === name} onChange={() => setHow(name)} />
						{title}
					</label>
				))}
			</fieldset>
			{how === "seeds" && input("Seeds to add", seeds, setSeeds, "", "A range, or a list. Seeds that the study has are not run again.")}
			{how === "until" && (
				<>
					{input("Half width (%)", aim, setAim, ".until.relative_half_width", "Of the interval, as a share of the mean.")}
					{input("Most runs of each point", max, setMax, ".until.max")}
				</>
			)}
			{problem && <ProblemNotice problem={problem} />}
			<div class="buttons">
				<button type="button" onClick={cancel}>
					Cancel
				</button>
				<button type="submit" class="primary" disabled={busy}>
					Extend
				</button>
			</div>
		</form>
	);
}

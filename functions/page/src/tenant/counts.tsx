// Compares traffic counts with a finished job: drop a CSV, see the GEH of each count and the plot.
import { useEffect, useState } from "preact/hooks";
import { type Job, Problem, type Schemas, send } from "../api";
import { narrow } from "../drawn";
import { DropZone } from "../dropzone";
import { number, percent, plural } from "../format";
import { Card, Loading, ProblemNotice, Scroll } from "../parts";
import { theme } from "../theme";

type Compared = { name: string; counts: Schemas["Counts"]; svg: string };

export function Counts({ job }: { job: Job }) {
	const [file, setFile] = useState<File>();
	const [shown, setShown] = useState<Compared>();
	const [problem, setProblem] = useState<Problem>();
	const [busy, setBusy] = useState(false);
	useEffect(() => {
		if (!file) return;
		const stop = new AbortController();
		setBusy(true);
		setProblem(undefined);
		compare(job, file, stop.signal)
			.then(setShown, (error: unknown) => {
				if (stop.signal.aborted) return;
				setShown(undefined);
				setProblem(error instanceof Problem ? error : new Problem(0, "unreadable", "Unreadable", "The file cannot be read. Choose it again."));
			})
			.finally(() => stop.signal.aborted || setBusy(false));
		return () => stop.abort();
	}, [file, job.job_id]);
	useEffect(() => () => URL.revokeObjectURL(shown?.svg ?? ""), [shown]);

	return (
		<>
			<Card title="Traffic counts">
				<p>
					A CSV whose first line names its columns: <code>detector</code> or <code>edge</code>; <code>begin</code> and <code>end</code> in seconds, or <code>hour</code>; and <code>count</code>, or{" "}
					<code>flow</code> in vehicles per hour. Detectors are induction loops of the scenario; for edges the job needs the edgedata output.
				</p>
				<DropZone
					id="counts-csv"
					accept=".csv,.tsv,.txt,text/csv"
					label={<strong>{file ? file.name : "Drop a file of counts here, or choose one"}</strong>}
					take={(files) => setFile(files[0])}
				/>
				{busy && <Loading what="the comparison" />}
				{problem && <ProblemNotice problem={problem} />}
			</Card>
			{shown && !busy && <Comparison of={shown} />}
		</>
	);
}

async function compare(job: Job, file: File, signal: AbortSignal): Promise<Compared> {
	const text = await file.text();
	const request = { method: "POST", text, signal, headers: { "Content-Type": "text/csv" } };
	const counts = (await (await send(`/jobs/${job.job_id}/counts`, request)).json()) as Schemas["Counts"];
	const size = narrow() ? "width=600&height=600" : "height=700";
	const plot = await send(`/jobs/${job.job_id}/counts/scatter.svg?theme=${theme.value}&${size}`, request);
	return { name: file.name, counts, svg: URL.createObjectURL(await plot.blob()) };
}

function Comparison({ of: { name, counts, svg } }: { of: Compared }) {
	return (
		<>
			<Card
				title={`GEH below 5: ${counts.geh_below_5} of ${counts.compared}`}
				beside={
					<a class="button quiet" href={svg} download={`${name.replace(/\.\w+$/, "")}.svg`}>
						SVG
					</a>
				}
			>
				{counts.share_below_5 != null && counts.rmse != null && counts.bias != null && (
					<p>
						{percent(counts.share_below_5)} of the counts are reproduced with a GEH below 5. The root mean square error is {number(counts.rmse)} vehicles per hour, and the mean difference{" "}
						{number(counts.bias)}.
					</p>
				)}
				{counts.notes.map((note) => (
					<div class="notice warn" key={note}>
						{note}
					</div>
				))}
				<img class="plot" src={svg} alt={`Simulated over counted flows of ${plural(counts.compared, "count")}; ${counts.geh_below_5} have a GEH below 5.`} />
			</Card>
			<Card title="Counts">
				<Scroll label="Counts">
					<table class="list">
						<thead>
							<tr>
								<th>Place</th>
								<th class="right">From (s)</th>
								<th class="right">To (s)</th>
								<th class="right">Counted (veh/h)</th>
								<th class="right">Simulated (veh/h)</th>
								<th class="right">GEH</th>
							</tr>
						</thead>
						<tbody>
							{counts.rows.slice(0, mostRows).map((r) => (
								<tr key={r.line}>
									<td class="name place">
										{r.places.join(" ")}
										{r.message && <span class="muted small"> {r.message}</span>}
									</td>
									<td class="right figure">{r.begin}</td>
									<td class="right figure">{r.end}</td>
									<td class="right figure">{number(r.counted)}</td>
									<td class="right figure">{r.modelled == null ? "–" : number(r.modelled)}</td>
									<td class="right figure">{r.geh == null ? "–" : number(r.geh)}</td>
								</tr>
							))}
						</tbody>
					</table>
				</Scroll>
				{counts.rows.length > mostRows && <p class="small muted">The first {mostRows} of {counts.rows.length}. All of them: sumo-k8 counts.</p>}
			</Card>
		</>
	);
}

/** More rows make a page slow to scroll. */
const mostRows = 1000;

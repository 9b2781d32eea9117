// The plan of a study, as it was asked for and extended since.
import { exactly, metricName, plural } from "../format";
import { Card, Copy, Scroll } from "../parts";
import { linkTo } from "../route";
import { valueText } from "./layout";
import type { Study } from "./live";
import { seedText } from "./plan";

export function PlanOf({ study }: { study: Study }) {
	const { plan } = study;
	const seeds = study.seeds ?? [];
	const until = plan.replications.until;
	const request = JSON.stringify({ name: study.name, ...plan }, null, 2);
	return (
		<>
			<Card title="Variants">
				<ul class="plain">
					{plan.variants.map((v) => (
						<li key={v.name}>
							<strong>{v.name}</strong>: scenario <a href={linkTo("scenarios", v.scenario)}>{v.scenario.slice(0, 12)}…</a>
							{v.run != null && <code class="wrap"> {JSON.stringify(v.run)}</code>}
						</li>
					))}
				</ul>
			</Card>
			<Card title="Axes">
				{!plan.axes?.length && <p class="muted">None: each variant is one point.</p>}
				<ul class="plain">
					{plan.axes?.map((a) => (
						<li key={a.name}>
							<strong>{a.name}</strong>: <code class="wrap">{a.set}</code> = {a.values?.map(valueText).join(", ")}
						</li>
					))}
				</ul>
				{plan.combine === "zip" && <p class="muted">The first values together, the second together, and so on.</p>}
			</Card>
			<Card title="Replications">
				<p>
					{plural(seeds.length, "seed")} so far: {seedText(seeds)}
				</p>
				{until && (
					<p>
						Until the half width of the {exactly(until.confidence ?? 0.95)} % interval of each {until.of === "difference" ? "difference" : "mean"} is{" "}
						{[
							...(until.relative_half_width ? [`${exactly(until.relative_half_width)} %`] : []),
							...Object.entries(until.absolute ?? {}).map(([m, v]) => `${v} of ${metricName(m).toLowerCase()}`),
						].join(", ")}
						; at most {until.max} runs of each point.
					</p>
				)}
				{(plan.metrics?.length ?? 0) > 0 && <p>About {plan.metrics!.map((m) => metricName(m).toLowerCase()).join(", ")}.</p>}
			</Card>
			<Card title="Request" beside={<Copy text={request} what="the request" />}>
				<p class="muted small">The body of POST /studies that asks the same again.</p>
				<Scroll label="The request">
					<pre class="request">{request}</pre>
				</Scroll>
			</Card>
		</>
	);
}

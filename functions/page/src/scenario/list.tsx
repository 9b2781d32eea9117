// The tenant's stored scenarios, newest first.
import type { Got } from "../api";
import { bytes, plural, whole } from "../format";
import { usePages } from "../load";
import { Action, Card, Empty, Loading, ProblemNotice, Time, Title } from "../parts";
import { linkTo } from "../route";

export type Summary = Got<"/scenarios">["scenarios"][number];

export function Scenarios() {
	const list = usePages("/scenarios", {}, (page: Got<"/scenarios">) => page.scenarios);
	const scenarios = list.data?.items ?? [];
	return (
		<>
			<Title
				beside={
					<a class="button primary" href={linkTo("submit")}>
						Submit a new one
					</a>
				}
			>
				Scenarios
			</Title>
			<Card title="Stored scenarios">
				{list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
				{list.loading && <Loading what="scenarios" />}
				{list.data && scenarios.length === 0 && (
					<Empty>
						<p>No scenarios are stored yet. Each one that you submit is stored, to be run again.</p>
						<a class="button primary" href={linkTo("submit")}>
							Submit a job
						</a>
					</Empty>
				)}
				{scenarios.length > 0 && (
					<table class="list stack scenarios">
						<thead>
							<tr>
								<th>Name</th>
								<th>Network and demand</th>
								<th class="right">Configurations</th>
								<th class="right">Size</th>
								<th>Stored</th>
							</tr>
						</thead>
						<tbody>
							{scenarios.map((s) => (
								<tr key={s.id}>
									<td class="name">
										<a href={linkTo("scenarios", s.id)}>{s.name || "unnamed"}</a>
										<span class="id" title={s.id}>
											{s.id.slice(0, 8)}…
										</span>
										{s.derived && (
											<span class="reason">
												derived, {plural(s.derived.differences, "file")} other than in {s.derived.base.slice(0, 8)}…
											</span>
										)}
									</td>
									<td class="grow">{contentOf(s) || <span class="muted idle">–</span>}</td>
									<td class="right figure" data-label="configurations">
										{whole(s.configs.length)}
									</td>
									<td class="right figure" data-label="size">
										{bytes(s.size)}
									</td>
									<td data-label="stored">
										<Time at={s.created_at} />
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
				{list.data?.more && (
					<div class="more">
						<Action act={list.showMore}>Show older scenarios</Action>
					</div>
				)}
			</Card>
		</>
	);
}

/** What a scenario contains, by its first configuration. */
export function contentOf(s: Summary): string {
	const config = s.configs[0];
	return config ? countsOf(config).join(" · ") : "";
}

export function countsOf({ network, demand }: Summary["configs"][number]): string[] {
	const facts: string[] = [];
	if (network) facts.push(plural(network.edges, "edge"), plural(network.traffic_lights, "traffic light"));
	for (const [n, thing] of [[demand?.vehicles, "vehicle"], [demand?.flows, "flow"], [demand?.persons, "person"], [demand?.person_flows, "person flow"]] as const) {
		if (n) facts.push(plural(n, thing));
	}
	return facts;
}

// The tenant's stored scenarios, newest first.
import { useState } from "preact/hooks";
import { get, type Got } from "../api";
import { bytes, plural, whole } from "../format";
import { useLoad } from "../load";
import { Action, Card, Empty, Loading, ProblemNotice, Time, Title } from "../parts";
import { linkTo } from "../route";

export type Summary = Got<"/scenarios">["scenarios"][number];

const pageSize = 50;

const query = (cursor: string) => `/scenarios?${new URLSearchParams({ limit: String(pageSize), ...(cursor && { cursor }) })}` as "/scenarios";

export function Scenarios() {
	const first = useLoad("scenarios", (signal) => get<"/scenarios">(query(""), signal));
	const [older, setOlder] = useState<{ scenarios: Summary[]; cursor: string }>();
	const scenarios = [...(first.data?.scenarios ?? []), ...(older?.scenarios ?? [])];
	const cursor = older ? older.cursor : (first.data?.next_cursor ?? "");
	const more = async () => {
		const page = await get<"/scenarios">(query(cursor));
		setOlder({ scenarios: [...(older?.scenarios ?? []), ...page.scenarios], cursor: page.next_cursor });
	};
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
				{first.problem && <ProblemNotice problem={first.problem} retry={first.reload} />}
				{first.loading && <Loading what="scenarios" />}
				{first.data && scenarios.length === 0 && (
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
				{cursor && (
					<div class="more">
						<Action act={more}>Show older scenarios</Action>
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

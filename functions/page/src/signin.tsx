// Sign-in: a read-only call checks the key, and a valid key is kept in the tab.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, type Problem, type Schemas } from "./api";
import { asProblem } from "./load";
import { Field, ProblemNotice, Title } from "./parts";
import { endedBecause, type Session, signIn } from "./session";

type Kind = Session["kind"];

export function SignIn() {
	const [kind, setKind] = useState<Kind>("tenant");
	const [key, setKey] = useState("");
	const [shown, setShown] = useState(false);
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState<Problem>();
	const input = useRef<HTMLInputElement>(null);
	useEffect(() => input.current?.focus(), []);

	const typed = (text: string) => {
		setKey(text);
		if (text.startsWith("sk-")) setKind("tenant"); // every API key starts with it
	};
	const submit = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		setProblem(undefined);
		const as = { kind, key: key.trim() };
		try {
			if (kind === "tenant") {
				const me = await call<Schemas["Dashboard"]>("/tenants/me/dashboard", { as });
				signIn({ ...as, name: me.tenant_id });
			} else {
				await call("/admin/activity", { as });
				signIn({ ...as, name: "Operator" });
			}
		} catch (error) {
			setProblem(asProblem(error));
			setBusy(false);
		}
	};

	return (
		<div class="signin">
			<Title>Sign in</Title>
			<p class="muted">Submit SUMO simulations, watch them run, and explore the results.</p>
			{endedBecause.value && !problem && <div class="notice warn">{endedBecause.value}</div>}
			<form class="card" onSubmit={(e) => void submit(e)}>
				<fieldset class="choice">
					<legend>Sign in as</legend>
					{(["tenant", "admin"] as const).map((k) => (
						<label key={k}>
							<input type="radio" name="kind" value={k} checked={kind === k} onChange={() => setKind(k)} />
							{k === "tenant" ? "Engineer, with an API key" : "Operator, with the admin key"}
						</label>
					))}
				</fieldset>
				<Field label={kind === "tenant" ? "API key" : "Admin key"} hint="Kept in this tab only, until it closes.">
					{(props) => (
						<span class="joined">
							<input {...props} ref={input} type={(shown ? "text" : "password") as "password"} required autocomplete="off" spellcheck={false} placeholder={kind === "tenant" ? "sk-…" : ""} value={key} onInput={(e) => typed(e.currentTarget.value)} />
							<button type="button" class="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>
								{shown ? "Hide" : "Show"}
							</button>
						</span>
					)}
				</Field>
				{problem && <ProblemNotice problem={problem} />}
				<button class="primary" type="submit" disabled={busy || key.trim() === ""}>
					{busy ? "Signing in…" : "Sign in"}
				</button>
			</form>
			<p class="small muted">
				Operators register tenants and issue their keys. Everything here is also available over HTTP: <a href="/docs">API documentation</a>.
			</p>
		</div>
	);
}

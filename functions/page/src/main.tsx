// The page: the session decides which views exist, and the address selects one.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import "./page.css";
import { Overview } from "./admin/overview";
import { AllJobs } from "./admin/jobs";
import { Tenants } from "./admin/tenants";
import { Scenarios } from "./scenario/list";
import { ScenarioPage } from "./scenario/page";
import { NewStudy } from "./study/form";
import { Studies } from "./study/list";
import { StudyPage } from "./study/page";
import { Compare } from "./tenant/compare";
import { JobPage } from "./tenant/job";
import { Jobs } from "./tenant/jobs";
import { Submit } from "./tenant/submit";
import { Webhooks } from "./tenant/webhooks";
import { hasFiles } from "./dropzone";
import { Announcer, Empty, Title } from "./parts";
import { go, linkTo, route } from "./route";
import { type Session, session, signOut } from "./session";
import { SignIn } from "./signin";
import { type Choice, choice } from "./theme";

type Section = { name: string; title: string };

const sections: Record<Session["kind"], Section[]> = {
	tenant: [
		{ name: "jobs", title: "Jobs" },
		{ name: "submit", title: "Submit" },
		{ name: "studies", title: "Studies" },
		{ name: "scenarios", title: "Scenarios" },
		{ name: "compare", title: "Compare" },
		{ name: "webhooks", title: "Webhooks" },
	],
	admin: [
		{ name: "overview", title: "Overview" },
		{ name: "tenants", title: "Tenants" },
		{ name: "all-jobs", title: "Jobs" },
	],
};

function Page() {
	const who = session.value;
	if (!who) {
		return (
			<>
				<Header />
				<main id="main">
					<SignIn />
				</main>
			</>
		);
	}
	return (
		<>
			<Header who={who} />
			<main id="main">
				<View who={who} />
			</main>
			<Announcer />
		</>
	);
}

function Header({ who }: { who?: Session }) {
	const here = route.value[0] ?? (who && sections[who.kind][0]!.name);
	return (
		<header class="top">
			<a
				class="skip"
				href="#main"
				onClick={(e) => {
					e.preventDefault(); // the fragment names a view
					document.querySelector<HTMLElement>("main h1")?.focus();
				}}
			>
				Skip to content
			</a>
			<a class="brand" href="#/">
				SUMO-K8
			</a>
			<nav aria-label="Sections">
				{who &&
					sections[who.kind].map((s) => (
						<a key={s.name} href={linkTo(s.name)} aria-current={here === s.name ? "page" : undefined}>
							{s.title}
						</a>
					))}
			</nav>
			<div class="who">
				<ThemeSwitch />
				{who && (
					<>
						<span class="name" title={who.kind === "admin" ? "Signed in with the admin key" : "Signed in as this tenant"}>
							{who.name}
						</span>
						<button
							type="button"
							class="quiet"
							onClick={() => {
								signOut();
								location.hash = "";
							}}
						>
							Sign out
						</button>
					</>
				)}
			</div>
		</header>
	);
}

function ThemeSwitch() {
	return (
		<label class="theme">
			<span class="hidden">Theme</span>
			<select value={choice.value} onChange={(e) => (choice.value = e.currentTarget.value as Choice)}>
				<option value="system">System theme</option>
				<option value="light">Light</option>
				<option value="dark">Dark</option>
			</select>
		</label>
	);
}

function View({ who }: { who: Session }) {
	const [section, id, tab, part] = route.value;
	useEffect(() => scrollTo(0, 0), [section, id, part]);
	if (who.kind === "admin") {
		if (!section || section === "overview") return <Overview />;
		if (section === "tenants") return <Tenants />;
		if (section === "all-jobs") return <AllJobs />;
	} else {
		if (section === "jobs" && id) return <JobPage key={id} id={id} tab={tab ?? ""} />;
		if (!section || section === "jobs") return <Jobs />;
		if (section === "submit" && id === "scenario" && tab) return <Submit key={tab} scenario={tab} />;
		if (section === "submit") return <Submit key={id} original={id} />;
		if (section === "studies" && id === "new") return <NewStudy scenario={tab} />;
		if (section === "studies" && id) return <StudyPage key={id} id={id} tab={tab ?? ""} part={part} />;
		if (section === "studies") return <Studies />;
		if (section === "scenarios" && id) return <ScenarioPage key={id} id={id} />;
		if (section === "scenarios") return <Scenarios />;
		if (section === "webhooks") return <Webhooks />;
		if (section === "compare") return <Compare ids={id ? id.split(",") : []} />;
	}
	return (
		<>
			<Title>Not found</Title>
			<Empty>
				<p>There is no view at this address{who.kind === "admin" && section === "jobs" ? ": a job opens only with its tenant's key" : ""}.</p>
				<button type="button" onClick={() => go(sections[who.kind][0]!.name)}>
					Go to the start page
				</button>
			</Empty>
		</>
	);
}

// A file dropped where no view takes it must not replace the page, and with it what was typed.
for (const kind of ["dragover", "drop"] as const) {
	addEventListener(kind, (e) => {
		if (!hasFiles(e)) return;
		e.preventDefault();
		e.dataTransfer!.dropEffect = "none"; // a drop zone, which listens after this, may say otherwise
	});
}

render(<Page />, document.getElementById("app")!);

// The page's routes: all in the fragment, so that one file serves every view and each has its own link.
import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

/** The parts of the address: "#/jobs/1/map?t=5" is ["jobs", "1", "map"]. */
export const route = computed(() => hash.value.split("?")[0]!.replace(/^#\/?/, "").split("/").filter(Boolean).map(decode));

/** What follows the parts: of "#/jobs/1/map?t=5" it is "t=5". */
export const query = computed(() => hash.value.split("?").slice(1).join("?"));

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		return part; // typed by hand
	}
}

export const linkTo = (...parts: string[]): string => "#/" + parts.map(encodeURIComponent).join("/");

export function go(...parts: string[]): void {
	location.hash = linkTo(...parts);
}

/** Names what is shown in the address, so that it can be copied, without a step in the browser's history. */
export function note(details: URLSearchParams): void {
	const text = details.toString();
	history.replaceState(null, "", location.hash.split("?")[0] + (text && `?${text}`));
}

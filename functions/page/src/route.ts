// The page's routes: all in the fragment, so that one file serves every view and each has its own link.
import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

/** The parts of the address: "#/jobs/1/map" is ["jobs", "1", "map"]. */
export const route = computed(() => hash.value.replace(/^#\/?/, "").split("/").filter(Boolean).map(decode));

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

// The session. Its key stays in this tab: sessionStorage ends with the tab and is not shared.
import { signal } from "@preact/signals";

export type Session = { kind: "tenant" | "admin"; key: string; name: string };

const storageKey = "sumo-k8.session";

function stored(): Session | null {
	try {
		return JSON.parse(sessionStorage.getItem(storageKey) ?? "null") as Session | null;
	} catch {
		return null;
	}
}

export const session = signal<Session | null>(stored());

/** Why the last session ended, unless the user signed out. */
export const endedBecause = signal("");

export function signIn(s: Session): void {
	sessionStorage.setItem(storageKey, JSON.stringify(s));
	endedBecause.value = "";
	session.value = s;
}

export function signOut(because = ""): void {
	sessionStorage.removeItem(storageKey);
	endedBecause.value = because;
	session.value = null;
}

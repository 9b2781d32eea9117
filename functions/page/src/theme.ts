// Light, dark, or the system's theme. The choice is kept across visits; it is no secret.
import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const storageKey = "sumo-k8.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);
system.addEventListener("change", () => (systemIsDark.value = system.matches));

const kept = localStorage.getItem(storageKey);
export const choice = signal<Choice>(kept === "light" || kept === "dark" ? kept : "system");

export const theme = computed<"light" | "dark">(() => {
	if (choice.value !== "system") return choice.value;
	return systemIsDark.value ? "dark" : "light";
});

effect(() => {
	if (choice.value === "system") localStorage.removeItem(storageKey);
	else localStorage.setItem(storageKey, choice.value);
	document.documentElement.dataset.theme = theme.value;
});

/** The value of one of the page's colours, for drawing on a canvas. */
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

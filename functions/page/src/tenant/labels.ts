// Labels as people write them: key=value, comma-separated.
import { Problem } from "../api";

export const labelText = (labels: Record<string, string>): string => Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(", ");

export function parseLabels(text: string): Record<string, string> | undefined | Problem {
	const labels: Record<string, string> = {};
	for (const pair of text.split(",").map((s) => s.trim()).filter(Boolean)) {
		const at = pair.indexOf("=");
		if (at < 1) {
			return new Problem(0, "", "Check the labels", "A label is not of the form key=value.", [{ location: "body.labels", message: `"${pair}" is not of the form key=value` }]);
		}
		labels[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
	}
	return Object.keys(labels).length > 0 ? labels : undefined;
}

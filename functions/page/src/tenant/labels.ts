// Labels as people write them: key=value, comma-separated. A key or value that would not read back as it is stands in quotes, as JSON
// writes a string.
import { Problem } from "../api";

const plain = (s: string): boolean => !/^["\s]|[,\p{Cc}]|\s$/u.test(s);
const quote = (s: string, isPlain: boolean): string => (isPlain ? s : JSON.stringify(s));

export const labelText = (labels: Record<string, string>): string =>
	Object.entries(labels)
		.map(([k, v]) => `${quote(k, k !== "" && !k.includes("=") && plain(k))}=${quote(v, plain(v))}`)
		.join(", ");

const quoted = String.raw`"(?:[^"\\]|\\.)*"`;
const nextLabel = new RegExp(String.raw`[\s,]*(${quoted}|[^"\s=,][^=,]*)\s*=\s*(${quoted}|[^"\s,][^,]*|)\s*(?:,|$)`, "y");

const textOf = (written: string): string => (written.startsWith('"') ? (JSON.parse(written) as string) : written.trim());

export function parseLabels(text: string): Record<string, string> | undefined | Problem {
	const labels: [string, string][] = [];
	for (let at = 0; /[^\s,]/.test(text.slice(at)); at = nextLabel.lastIndex) {
		nextLabel.lastIndex = at;
		const rest = text.slice(at).replace(/^[\s,]+/, "");
		const refused = (message: string) => new Problem(0, "", "Check the labels", message, [{ location: "body.labels", message: `the text from ${rest} is not of the form key=value` }]);
		const found = nextLabel.exec(text);
		if (!found) return refused("A label is not of the form key=value.");
		try {
			labels.push([textOf(found[1]!), textOf(found[2]!)]);
		} catch {
			return refused("A label in quotes is not a string of JSON.");
		}
	}
	return labels.length > 0 ? Object.fromEntries(labels) : undefined; // which takes __proto__ for a key like others
}

// Dropped files as the zip that a derivation takes.
import { zip } from "fflate";

export type Dropped = { file: File; path: string };

/** Where a dropped file belongs: the place of the scenario's only file of that name, else beside the first configuration. */
export function pathFor(name: string, known: string[], config: string | undefined): string {
	if (known.includes(name)) return name;
	const base = name.split("/").at(-1)!;
	const alike = known.filter((k) => k.split("/").at(-1) === base);
	if (alike.length === 1) return alike[0]!;
	const folder = config?.includes("/") ? config.slice(0, config.lastIndexOf("/") + 1) : "";
	return folder + name;
}

/** A zip of the files. One without any is a zip, too: a derivation may only delete. */
export async function zipOf(dropped: Dropped[]): Promise<Blob> {
	const entries: Record<string, Uint8Array> = {};
	for (const { file, path } of dropped) entries[path] = new Uint8Array(await file.arrayBuffer());
	return new Promise((resolve, reject) =>
		zip(entries, { level: 6 }, (error, data) => (error ? reject(error) : resolve(new Blob([data as Uint8Array<ArrayBuffer>], { type: "application/zip" })))),
	);
}

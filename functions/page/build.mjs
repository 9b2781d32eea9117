// Builds dist/, which the Go package embeds: checks types against the OpenAPI document, bundles, and names each asset
// after a hash of its content. The same sources give the same bytes.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));
const run = (program, ...args) => execFileSync(join("node_modules", ".bin", program), args, { stdio: ["ignore", "ignore", "inherit"] });

run("openapi-typescript", "../internal/app/openapi.json", "--output", "src/openapi.d.ts");
execFileSync(join("node_modules", ".bin", "tsc"), { stdio: "inherit" });

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
const settings = {
	outdir: "dist/ui",
	entryNames: "[name]-[hash]",
	bundle: true,
	minify: true,
	format: "esm",
	target: ["chrome100", "firefox100", "safari15.4"],
	jsx: "automatic",
	jsxImportSource: "preact",
	loader: { ".svg": "copy" },
	legalComments: "eof", // the libraries' licences require it
	metafile: true,
	logLevel: "warning",
};

const assetOf = (result, name, extension) => {
	const found = Object.keys(result.metafile.outputs).map((path) => basename(path)).find((file) => file.startsWith(name + "-") && file.endsWith(extension));
	if (!found) throw new Error(`the build made no ${name}${extension}`);
	return `/ui/${found}`;
};
const workers = await build({ ...settings, entryPoints: { worker: "src/replay/worker.ts", drawing: "src/replay/drawing.ts" } });
const result = await build({
	...settings,
	entryPoints: { app: "src/main.tsx", icon: "src/icon.svg" },
	define: { WORKER: JSON.stringify(assetOf(workers, "worker", ".js")), DRAWING: JSON.stringify(assetOf(workers, "drawing", ".js")) },
});
const asset = (name, extension) => assetOf(result, name, extension);
const page = readFileSync("src/index.html", "utf8")
	.replace("SCRIPT", asset("app", ".js"))
	.replace("STYLE", asset("app", ".css"))
	.replace("ICON", asset("icon", ".svg"));
writeFileSync("dist/index.html", page);

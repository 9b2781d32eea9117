// A plot that the service draws, in the page's theme.
import { useEffect, useMemo } from "preact/hooks";
import { download, send } from "./api";
import { useLoad } from "./load";
import { Action, Card, Loading, ProblemNotice } from "./parts";
import { theme } from "./theme";

/** Whether a plot of the usual width would have letters too small to read. */
export const narrow = (): boolean => innerWidth <= 720;

/** address is where the plot is, without its kind; version changes with what it shows; interval is in milliseconds, for a plot that is drawn again. */
export function Drawn({ title, alt, address, options = {}, file, version = "", interval }: { title: string; alt: string; address: string; options?: Record<string, string>; file: string; version?: string; interval?: number }) {
	const path = (kind: string, more: Record<string, string> = {}) => `${address}.${kind}?${new URLSearchParams({ ...options, ...more })}`;
	const shown = path("svg", { theme: theme.value, width: narrow() ? "600" : "1200" });
	const image = useLoad(
		`${shown} ${version}`,
		async (signal) => (await send(shown, { signal })).blob(),
		() => interval,
	);
	const source = useMemo(() => image.data && URL.createObjectURL(image.data), [image.data]);
	useEffect(() => () => source && URL.revokeObjectURL(source), [source]);
	const plain = file.replace(/[^\p{L}\p{N}._-]+/gu, "-");
	return (
		<Card
			title={title}
			beside={
				<span class="save">
					{["svg", "png"].map((kind) => (
						<Action key={kind} kind="quiet" label={`Save ${title} as ${kind.toUpperCase()}`} act={() => download(path(kind), `${plain}.${kind}`)}>
							{kind.toUpperCase()}
						</Action>
					))}
				</span>
			}
		>
			{image.problem && <ProblemNotice problem={image.problem} retry={image.reload} />}
			{image.loading && <Loading what="the plot" />}
			{source && <img class="plot" src={source} alt={alt} />}
		</Card>
	);
}

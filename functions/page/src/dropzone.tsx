// A place for files: dropped anywhere on the page, or chosen.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";

/** Whether a drag is of files: text may be dragged into fields. */
export const hasFiles = (e: DragEvent): boolean => e.dataTransfer?.types.includes("Files") ?? false;

type Props = {
	/** The id of its input. */
	id: string;
	label: ComponentChildren;
	/** What is shown below the label, in an element with the id `hint`. */
	children?: ComponentChildren;
	hint?: string;
	accept?: string;
	multiple?: boolean;
	faulty?: boolean;
	take: (files: FileList) => void;
};

export function DropZone({ id, label, children, hint, accept, multiple, faulty, take }: Props) {
	const [over, setOver] = useState(false);
	// The whole page takes the file: one dropped beside the zone must not replace the page, and neither must one that is dropped
	// in the moment the zone appears, for which a plain effect comes too late.
	useLayoutEffect(() => {
		const drag = (e: DragEvent) => {
			if (!hasFiles(e)) return;
			e.preventDefault();
			e.dataTransfer!.dropEffect = "copy";
			setOver(e.type === "dragover");
			if (e.type === "drop" && e.dataTransfer?.files.length) take(e.dataTransfer.files);
		};
		const kinds = ["dragover", "dragleave", "drop"] as const;
		for (const kind of kinds) addEventListener(kind, drag);
		return () => kinds.forEach((kind) => removeEventListener(kind, drag));
	});
	return (
		<div class={`dropzone${over ? " over" : ""}${faulty ? " faulty" : ""}`}>
			<input
				id={id}
				type="file"
				accept={accept}
				multiple={multiple}
				aria-describedby={hint}
				onChange={(e) => {
					if (e.currentTarget.files?.length) take(e.currentTarget.files);
					e.currentTarget.value = ""; // so that the same file can be chosen again once it has changed
				}}
			/>
			<label for={id}>{label}</label>
			{children}
		</div>
	);
}

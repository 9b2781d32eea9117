// What to know about the numbers above.
export function Notes({ of }: { of: string[] }) {
	if (of.length === 0) return null;
	return (
		<ul class="notes">
			{of.map((note) => (
				<li key={note}>{note}</li>
			))}
		</ul>
	);
}

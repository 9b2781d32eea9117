// How the points of a study lie in a table: one axis across, everything else down.
export type Value = unknown; // a number, a text or a truth value
export type Placed = { point: number; variant: string; setting: Record<string, Value> | null };

export type Layout = {
	/** The axis whose values are the columns; none if each row has a single point. */
	across: string | undefined;
	columns: string[];
	rows: { variant: string; values: string[]; cells: (number | undefined)[] }[];
};

/** More columns than this are too many to read across. */
const mostColumns = 8;

export const valueText = (v: Value): string => (v == null ? "–" : String(v));

export function labelOf(p: Placed, axes: string[]): string {
	return [p.variant, ...axes.map((a) => `${a} ${valueText(p.setting?.[a])}`)].join(", ");
}

/**
 * Places the points. The axis across is the one with most values that still fit; points that were combined by zip have
 * one value of each axis in a row, so they lie one below the other.
 */
export function layoutOf(points: Placed[], axes: string[], zip: boolean): Layout {
	const distinct = (axis: string) => [...new Set(points.map((p) => valueText(p.setting?.[axis])))];
	const fitting = zip ? [] : axes.filter((a) => distinct(a).length > 1 && distinct(a).length <= mostColumns);
	const across = fitting.sort((a, b) => distinct(b).length - distinct(a).length)[0];
	const columns = across === undefined ? [""] : distinct(across);
	const place = new Map(columns.map((c, i) => [c, i]));
	const down = axes.filter((a) => a !== across);
	const rows = new Map<string, Layout["rows"][number]>();
	for (const p of points) {
		const values = down.map((a) => `${a} ${valueText(p.setting?.[a])}`);
		const key = JSON.stringify([p.variant, ...values]);
		let row = rows.get(key);
		if (!row) rows.set(key, (row = { variant: p.variant, values, cells: new Array<number | undefined>(columns.length).fill(undefined) }));
		row.cells[across === undefined ? 0 : place.get(valueText(p.setting?.[across]))!] = p.point;
	}
	return { across, columns, rows: [...rows.values()] };
}

// Maps values to colours. Lightness grows evenly along each ramp, so that it reads without hues.

/** As many as the eye distinguishes, and few enough to draw each as one path. */
export const classes = 16;
/** The class of an edge that has no value. */
export const none = 255;

type Colour = [r: number, g: number, b: number];

// Viridis, by Stéfan van der Walt and Nathaniel Smith, who gave it to the public domain (CC0). Its yellow end is
// darkened for a light ground and its purple end lightened for a dark one, so that both stay visible.
const ramps: Record<"light" | "dark", Colour[]> = {
	light: [[68, 1, 84], [62, 74, 137], [33, 145, 140], [83, 186, 92], [205, 190, 20]],
	dark: [[134, 84, 201], [98, 138, 219], [42, 178, 171], [116, 211, 98], [253, 231, 37]],
};

// Of differences: from one hue to another by way of a ground that is neither. Blue and orange differ for all kinds of colour vision.
const divergingRamps: Record<"light" | "dark", Colour[]> = {
	light: [[176, 72, 0], [226, 140, 66], [186, 192, 198], [92, 156, 206], [8, 92, 158]],
	dark: [[255, 168, 92], [198, 118, 52], [82, 92, 102], [62, 130, 186], [128, 196, 250]],
};

const hex = (c: Colour): string => "#" + c.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");

/** The colours of all classes, from the congested end to the free one. */
export function ramp(theme: "light" | "dark", diverging = false): string[] {
	const stops = (diverging ? divergingRamps : ramps)[theme];
	return Array.from({ length: classes }, (_, i) => {
		const at = (i / (classes - 1)) * (stops.length - 1);
		const k = Math.min(stops.length - 2, Math.floor(at));
		const share = at - k;
		return hex(stops[k]!.map((v, c) => v + (stops[k + 1]![c]! - v) * share) as Colour);
	});
}

/** Colours without an order, any two neighbours of which differ: each hue is a golden angle from the one before. */
export function hues(theme: "light" | "dark", count: number): string[] {
	return Array.from({ length: count }, (_, i) => {
		const [saturation, lightness] = [[0.7, 0.5, 0.85][i % 3]!, (theme === "light" ? [0.38, 0.5, 0.3] : [0.66, 0.78, 0.56])[i % 3]!];
		// https://www.w3.org/TR/css-color-4/#hsl-to-rgb
		const channel = (n: number) => {
			const k = (n + (137.508 * i) / 30) % 12;
			return 255 * (lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
		};
		return hex([channel(0), channel(8), channel(4)]);
	});
}

export type Scale = {
	low: number; // the value at the scale's lower end
	high: number;
	/** Whether high values are bad and get the congested end's colour. */
	highIsBad: boolean;
	/** Whether its middle is 0, and values lie to both sides. */
	diverging?: boolean;
};

export function classOf(value: number | null | undefined, s: Scale): number {
	if (value == null) return none;
	const share = s.high > s.low ? Math.max(0, Math.min(1, (value - s.low) / (s.high - s.low))) : 0;
	const c = Math.min(classes - 1, Math.floor(share * classes));
	return s.highIsBad ? classes - 1 - c : c;
}

/** A round number above all but the most extreme values. */
export function roundTop(values: Iterable<number | null | undefined>): number {
	const sorted = [...values].filter((v): v is number => v != null).sort((a, b) => a - b);
	const top = sorted[Math.floor((sorted.length - 1) * 0.98)] ?? 0;
	if (top <= 0) return 1;
	const power = 10 ** Math.floor(Math.log10(top));
	return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((f) => f * power).find((v) => v >= top * 0.999) ?? top;
}

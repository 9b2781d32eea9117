// Numbers, times and sizes as people read them.

const locale = undefined; // the browser's

/** Making a format costs far more than using it, and a page of numbers needs hundreds. */
const formats = new Map<string, Intl.NumberFormat>();

function decimal(value: number, most: number, least = 0): string {
	const key = `${least} ${most}`;
	let format = formats.get(key);
	if (!format) formats.set(key, (format = new Intl.NumberFormat(locale, { minimumFractionDigits: least, maximumFractionDigits: most })));
	return format.format(value);
}

export function number(value: number, digits = 3): string {
	const size = Math.abs(value);
	// Enough decimals for `digits` significant digits, and never an exponent.
	const decimals = size === 0 || size >= 10 ** (digits - 1) ? 0 : Math.min(6, digits - 1 - Math.floor(Math.log10(size)));
	return decimal(value, decimals);
}

export const whole = (value: number): string => decimal(Math.round(value), 0);

export const plural = (n: number, thing: string): string => `${whole(n)} ${thing}${n === 1 ? "" : "s"}`;

export const percent = (share: number): string => `${decimal(share * 100, share > 0 && share < 0.1 ? 1 : 0)} %`;

/** A share that somebody chose, such as a confidence: without the digits that its multiplication makes up. */
export const exactly = (share: number): number => Number((share * 100).toPrecision(6));

export function bytes(size: number): string {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let unit = 0;
	while (size >= 1000 && unit < units.length - 1) {
		size /= 1000;
		unit++;
	}
	return `${number(size)} ${units[unit]}`;
}

export function duration(seconds: number): string {
	if (seconds < 0) seconds = 0;
	if (seconds < 9.95) return `${decimal(seconds, 1)} s`;
	if (seconds < 59.5) return `${Math.round(seconds)} s`;
	const s = Math.round(seconds);
	const two = (n: number) => String(n).padStart(2, "0");
	if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
	if (s < 86_400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
	return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** Simulated seconds as a clock: 0:42, 1:10:00; `hours` forces the long form: 0:00:42. */
export function clock(seconds: number, hours = false): string {
	const sign = seconds < 0 ? "−" : "";
	const s = Math.abs(Math.round(seconds));
	const two = (n: number) => String(n).padStart(2, "0");
	return s < 3600 && !hours ? `${sign}${Math.floor(s / 60)}:${two(s % 60)}` : `${sign}${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
}

export function dateTime(at: Date): string {
	const now = new Date();
	if (at.toDateString() === now.toDateString()) return at.toLocaleString(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
	const year = at.getFullYear() === now.getFullYear() ? undefined : "numeric";
	return at.toLocaleString(locale, { year, day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });
}

export const utc = (at: Date): string => at.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");

/** A mean with its half width, both with the decimals that the half width gives sense to. */
export function meanText(mean: number, half: number | null | undefined): string {
	if (half == null) return number(mean, 4);
	if (half === 0) return `${number(mean, 4)} ± 0`;
	const decimals = Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(Math.abs(half)))));
	return `${decimal(mean, decimals, decimals)} ± ${decimal(half, decimals, decimals)}`;
}

/** A label within a sentence: "Travel time" becomes "travel time"; "CO₂ of a trip" stays. */
export const inline = (label: string): string => (/^.[\p{Lu}\d]/u.test(label) ? label : label.charAt(0).toLowerCase() + label.slice(1));

/** snake_case in words. */
export function words(name: string): string {
	const text = name.replaceAll("_", " ");
	return text.charAt(0).toUpperCase() + text.slice(1);
}

const metricNames: Record<string, string> = {
	emissions_co2: "CO₂ emitted",
	emissions_co: "CO emitted",
	emissions_hc: "HC emitted",
	emissions_nox: "NOₓ emitted",
	emissions_pmx: "PMₓ emitted",
	fuel: "Fuel used",
	wall_time: "Wall clock time",
	real_time_factor: "Real time factor",
};

export const metricName = (name: string): string => metricNames[name] ?? words(name);

/** A value in a readable unit; brief omits the conversion in parentheses. */
export function quantity(value: number, unit: string, brief = false): string {
	switch (unit) {
		case "1":
			return number(value, 4);
		case "veh":
		case "vehicles":
		case "persons":
			return `${number(value, 4)} ${unit === "veh" ? "vehicles" : unit}`;
		case "s":
			return Math.abs(value) >= 120 && !brief ? `${number(value, 4)} s (${duration(value)})` : `${number(value, 4)} s`;
		case "m":
			return Math.abs(value) >= 10_000 ? `${number(value / 1000, 4)} km` : `${number(value, 4)} m`;
		case "m/s":
			return brief ? `${number(value, 4)} m/s` : `${number(value, 4)} m/s (${number(value * 3.6)} km/h)`;
		case "mg":
			if (Math.abs(value) >= 1e9) return `${number(value / 1e9, 4)} t`;
			if (Math.abs(value) >= 1e6) return `${number(value / 1e6, 4)} kg`;
			if (Math.abs(value) >= 1e3) return `${number(value / 1e3, 4)} g`;
			return `${number(value, 4)} mg`;
		case "Wh":
			return Math.abs(value) >= 1000 ? `${number(value / 1000, 4)} kWh` : `${number(value, 4)} Wh`;
		case "1/s":
			return `${number(value, 4)} per second`;
		default:
			return `${number(value, 4)} ${unit}`;
	}
}

// Makes a moving picture of single ones: a browser takes pictures as WebP, and a moving one is a container of those.
// https://developers.google.com/speed/webp/docs/riff_container

const chunk = (name, ...parts) => {
	const body = Buffer.concat(parts);
	const head = Buffer.alloc(8);
	head.write(name, "latin1");
	head.writeUInt32LE(body.length, 4);
	return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
};

const threeBytes = (...numbers) => {
	const out = Buffer.alloc(3 * numbers.length);
	numbers.forEach((n, i) => out.writeUIntLE(n, 3 * i, 3));
	return out;
};

/** The chunks of a picture that hold its pixels, as they are, and whether some are transparent. */
function pixelsOf(webp) {
	if (webp.toString("latin1", 0, 4) !== "RIFF" || webp.toString("latin1", 8, 12) !== "WEBP") throw new Error("this is no WebP");
	const chunks = [];
	for (let at = 12; at + 8 <= webp.length; ) {
		const length = webp.readUInt32LE(at + 4);
		const end = at + 8 + length + (length % 2);
		const name = webp.toString("latin1", at, at + 4);
		if (["ALPH", "VP8 ", "VP8L"].includes(name)) chunks.push({ name, bytes: webp.subarray(at, end) });
		at = end;
	}
	return { bytes: Buffer.concat(chunks.map((c) => c.bytes)), transparent: chunks.some((c) => c.name !== "VP8 ") };
}

/** Shows pictures of one size one after the other, each for so many milliseconds, again and again. */
export function animation(pictures, { width, height }, each) {
	const frames = pictures.map(pixelsOf);
	const size = threeBytes(width - 1, height - 1);
	const flags = Buffer.from([0x02 | (frames.some((f) => f.transparent) ? 0x10 : 0), 0, 0, 0]);
	const noBlending = Buffer.from([0x02]);
	return chunk(
		"RIFF",
		Buffer.from("WEBP"),
		chunk("VP8X", flags, size),
		chunk("ANIM", Buffer.alloc(6)), // any ground, without end
		...frames.map((f) => chunk("ANMF", threeBytes(0, 0), size, threeBytes(each), noBlending, f.bytes)),
	);
}

// Draws the things of a scene with WebGL2: one call for all vehicles, which moves and turns them between two frames. Their numbers are in a
// texture: drawn as instances, each of them takes 40 µs where there is no graphics card.
import type { Camera } from "../map/camera";
import type { Drawn } from "./local";
import { perRow, type Things } from "./scene";

// Smallest sizes on the screen, in pixels, with which a vehicle can be seen from far: larger than life, but small enough not to
// cover the network. The painter of canvases has the same.
export const leastLength = (scale: number): number => Math.min(7, 3 + 8 * scale);
export const leastWidth = 3.2;

const vertex = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D things;
uniform vec4 view; // the camera's x and y from the middle, pixels of the canvas per metre, share of the way to the next frame
uniform vec4 screen; // width and height in pixels of the canvas, those of the canvas for each of the page, least length
out vec2 at;
out vec2 half_;
flat out float shape;
flat out vec4 colour;
void main() {
	int thing = gl_VertexID / 6;
	int point = gl_VertexID % 6;
	if (point > 2) point -= 2; // two triangles share their points 1 and 2
	vec2 corner = vec2(point & 1, point >> 1) * 2.0 - 1.0;
	ivec2 first = ivec2(3 * (thing % ${perRow}), thing / ${perRow});
	vec4 place = uintBitsToFloat(texelFetch(things, first, 0));
	vec4 sized = uintBitsToFloat(texelFetch(things, first + ivec2(1, 0), 0));
	uvec4 last = texelFetch(things, first + ivec2(2, 0), 0);
	vec2 angle = sized.xy;
	vec3 form = vec3(sized.zw, uintBitsToFloat(last.x));
	float a = radians(angle.x + view.w * angle.y);
	vec2 ahead = vec2(sin(a), cos(a));
	shape = form.z;
	bool line = shape > 5.5;
	float length_ = max(form.x * view.z, (line ? 2.0 : shape > 4.5 ? ${leastWidth} : screen.w) * screen.z);
	float width = max(form.y * view.z, (line ? 2.0 : ${leastWidth}) * screen.z);
	half_ = 0.5 * (shape > 6.5 ? form.yx * screen.z : vec2(width, length_)); // a ring has the same size at all scales
	at = corner * (half_ + 1.5 * screen.z);
	vec2 front = (place.xy + view.w * place.zw - view.xy) * view.z;
	vec2 middle = shape > 4.5 ? front : front - ahead * half_.y; // x and y are of the front
	vec2 p = middle + ahead * at.y + vec2(ahead.y, -ahead.x) * at.x;
	gl_Position = vec4(2.0 * p / screen.xy, 0.0, 1.0);
	colour = vec4(last.y & 255u, (last.y >> 8) & 255u, (last.y >> 16) & 255u, 255u) / 255.0;
}`;

const fragment = `#version 300 es
precision mediump float;
in vec2 at;
in vec2 half_;
flat in float shape;
flat in vec4 colour;
uniform vec4 halo;
uniform float ratio; // pixels of the canvas for each of the page
out vec4 out_;
float box(vec2 p, vec2 b, float r) {
	vec2 q = abs(p) - b + r;
	return length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - r;
}
void main() {
	vec2 p = at;
	float d;
	float glass = 0.0;
	if (shape > 6.5) d = abs(length(p) - half_.x + ratio) - ratio;
	else if (shape > 5.5) d = box(p, half_, 0.0);
	else if (shape > 4.5) d = length(p) - half_.x;
	else {
		float along = p.y / half_.y; // 1 at the front
		float small = 1.0 - smoothstep(3.0, 7.0, half_.x / ratio); // from far, an arrow shows where it goes
		float narrow = shape > 3.5 ? 0.7 : shape > 2.5 ? 0.15 : shape > 0.5 ? 0.1 : 0.25;
		float widths = (half_.y - p.y) / half_.x; // from the front
		float taper = 1.0 - mix(narrow * smoothstep(0.3, 1.0, along), 0.75 * (1.0 - smoothstep(0.0, 4.0, widths)), small);
		if (shape > 2.5 && shape < 3.5) taper *= 1.0 - 0.3 * smoothstep(0.9, 1.0, -along);
		vec2 b = vec2(half_.x * taper, half_.y);
		d = box(p, b, min(b.x, half_.x * (shape > 0.5 && shape < 2.5 ? 0.25 : 0.5)));
		if (shape < 3.5) {
			float front = shape > 0.5 ? 1.0 - 0.9 * half_.x / half_.y : 0.35;
			glass = (1.0 - small) * smoothstep(0.0, 0.06, along - front) * (1.0 - smoothstep(0.1, 0.16, along - front)) * 0.55;
			if (shape > 0.5 && shape < 1.5) glass = max(glass, (1.0 - small) * (1.0 - smoothstep(0.0, 0.03, abs(along - front + 0.1))) * 0.6);
		}
	}
	float edge = shape > 5.5 ? 0.0 : ratio;
	float inside = clamp(0.5 - d, 0.0, 1.0);
	float rim = clamp(0.5 + edge - d, 0.0, 1.0);
	vec3 body = mix(colour.rgb, vec3(0.06, 0.09, 0.13), glass);
	out_ = vec4(mix(halo.rgb, body, inside) * rim, rim);
	if (rim <= 0.0) discard;
}`;

/** From far a vehicle is an arrow of a few pixels. Without a graphics card this takes a fraction of the time. */
const arrow = `#version 300 es
precision mediump float;
in vec2 at;
in vec2 half_;
flat in float shape;
flat in vec4 colour;
uniform vec4 halo;
uniform float ratio;
out vec4 out_;
void main() {
	float wide = half_.x * (0.25 + 0.75 * min(1.0, (half_.y - at.y) / (4.0 * half_.x)));
	float d = max(abs(at.x) - wide, abs(at.y) - half_.y);
	float rim = clamp(0.5 + ratio - d, 0.0, 1.0);
	out_ = vec4(mix(halo.rgb, colour.rgb, clamp(0.5 - d, 0.0, 1.0)) * rim, rim);
}`;
export const far = 3; // pixels per metre below which vehicles are arrows: a car is then 5 pixels wide

type Program = { program: WebGLProgram; at: Record<"view" | "screen" | "halo" | "ratio", WebGLUniformLocation> };

let card: boolean | undefined;

/** Whether WebGL2 is drawn by a graphics card. What computes it instead is slower than a canvas. */
export function hasGraphicsCard(): boolean {
	if (card === undefined) {
		const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
		const named = gl?.getExtension("WEBGL_debug_renderer_info");
		card = gl != null && !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER)));
		gl?.getExtension("WEBGL_lose_context")?.loseContext();
	}
	return card;
}

/** Throws if the browser cannot. */
export class WebGLPainter {
	readonly kind = "webgl";
	private readonly gl: WebGL2RenderingContext;
	private readonly detailed: Program;
	private readonly arrows: Program;
	private textures = new Map<Things, { texture: WebGLTexture; rows: number; version: number }>();

	constructor(readonly canvas: HTMLCanvasElement | OffscreenCanvas) {
		const gl = (canvas as HTMLCanvasElement).getContext("webgl2", { antialias: false, depth: false, stencil: false, premultipliedAlpha: true, powerPreference: "high-performance" });
		if (!gl) throw new Error("no WebGL2");
		this.gl = gl;
		this.detailed = this.link(fragment);
		this.arrows = this.link(arrow);
		gl.enable(gl.BLEND);
		gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
	}

	private link(fragmentShader: string): Program {
		const { gl } = this;
		const program = gl.createProgram();
		for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragmentShader]] as const) {
			const shader = gl.createShader(kind)!;
			gl.shaderSource(shader, source);
			gl.compileShader(shader);
			gl.attachShader(program, shader);
		}
		gl.linkProgram(program);
		if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`WebGL2: ${gl.getProgramInfoLog(program)}`);
		const uniform = (name: string) => gl.getUniformLocation(program, name)!;
		return { program, at: { view: uniform("view"), screen: uniform("screen"), halo: uniform("halo"), ratio: uniform("ratio") } };
	}

	/** Draws all things, the later ones above; ratio is pixels of the canvas for each of the page. */
	draw(camera: Camera, middle: [number, number], ratio: number, halo: string, things: Drawn[]): void {
		const { gl, canvas } = this;
		const rim = Number.parseInt(halo.slice(1), 16);
		gl.viewport(0, 0, canvas.width, canvas.height);
		gl.clearColor(0, 0, 0, 0);
		gl.clear(gl.COLOR_BUFFER_BIT);
		for (const { of, share, version, vehicles } of things) {
			if (of.count === 0) continue;
			const { program, at } = vehicles && camera.scale < far ? this.arrows : this.detailed;
			gl.useProgram(program);
			gl.uniform4f(at.screen, canvas.width, canvas.height, ratio, leastLength(camera.scale));
			gl.uniform4f(at.halo, (rim >> 16) / 255, ((rim >> 8) & 255) / 255, (rim & 255) / 255, 1);
			gl.uniform1f(at.ratio, ratio);
			gl.uniform4f(at.view, camera.x - middle[0], camera.y - middle[1], camera.scale * ratio, share);
			this.bind(of, version);
			gl.drawArrays(gl.TRIANGLES, 0, 6 * of.count);
		}
	}

	private bind(of: Things, version: number): void {
		const { gl } = this;
		let t = this.textures.get(of);
		if (!t) this.textures.set(of, (t = { texture: gl.createTexture(), rows: 0, version: -1 }));
		gl.bindTexture(gl.TEXTURE_2D, t.texture);
		if (t.version === version) return;
		t.version = version;
		const width = 3 * perRow;
		const rows = Math.ceil(of.count / perRow);
		if (t.rows < rows) {
			t.rows = of.numbers.length / (4 * width);
			gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, width, t.rows, 0, gl.RGBA_INTEGER, gl.UNSIGNED_INT, null);
			// Numbers are not mixed with their neighbours.
			gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
			gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
		}
		gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, rows, gl.RGBA_INTEGER, gl.UNSIGNED_INT, of.colours);
	}
}

// The program of a scenario that steers its runs, as the forms of a job and of a study ask for it.
import { get, type Schemas } from "./api";
import { useLoad } from "./load";
import { Field } from "./parts";

/** A controller as text. */
export type ControllerDraft = { file: string; interface: string; args: string };

/** Arguments, one on each line. */
export const argumentsOf = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");

export const controllerOf = (d: ControllerDraft): Schemas["Controller"] => ({
	file: d.file.trim(),
	args: argumentsOf(d.args),
	interface: d.interface as "traci" | "libsumo",
});

/** Whether the tenant may run controllers and tools. */
export function useControllers(): boolean {
	return useLoad("dashboard", (signal) => get<"/tenants/me/dashboard">("/tenants/me/dashboard", signal)).data?.controllers ?? false;
}

type Part = { value: ControllerDraft; set: (name: keyof ControllerDraft, value: string) => void; fault: (name: keyof ControllerDraft) => string | undefined };

export function ProgramField({ value, set, fault, hint, required }: Part & { hint: string; required?: boolean }) {
	return (
		<Field label="Program" hint={hint} fault={fault("file")}>
			{(props) => <input {...props} name="file" required={required} spellcheck={false} autocomplete="off" placeholder="control.py" value={value.file} onInput={(e) => set("file", e.currentTarget.value)} />}
		</Field>
	);
}

export function InterfaceField({ value, set, fault }: Part) {
	return (
		<Field label="Interface" hint="How it speaks to SUMO." fault={fault("interface")}>
			{(props) => (
				<select {...props} name="interface" value={value.interface} onChange={(e) => set("interface", e.currentTarget.value)}>
					<option value="traci">TraCI</option>
					<option value="libsumo">libsumo</option>
				</select>
			)}
		</Field>
	);
}

export function ArgumentsField({ value, set, fault }: Part) {
	return (
		<Field label="Arguments" hint="One on each line. {seed}, {out} and {config} are filled in." fault={fault("args")}>
			{(props) => <textarea {...props} name="args" rows={4} spellcheck={false} placeholder={"--gain\n0.4"} value={value.args} onInput={(e) => set("args", e.currentTarget.value)} />}
		</Field>
	);
}

// Whether there is more of a recording that goes on: its job's stream says so, and while that is down it is looked for.

export class News {
	private heard = false;
	private connected = false;
	private due = () => {};

	/** Without the stream it is looked for each so many milliseconds: segments come every 2 s. */
	constructor(private readonly every = 1000) {}

	/** The stream says that there is more. */
	hear(): void {
		this.heard = true;
		this.due();
	}

	connect(yes: boolean): void {
		this.connected = yes;
		this.due();
	}

	/** What has been said so far is about to be read. */
	read(): void {
		this.heard = false;
	}

	/** Resolves when there is more than was read, or when it is time to look. */
	next(): Promise<void> {
		return new Promise((resolve) => {
			let timer: ReturnType<typeof setTimeout> | undefined;
			this.due = () => {
				clearTimeout(timer);
				if (this.heard) resolve();
				else if (!this.connected) timer = setTimeout(resolve, this.every);
			};
			this.due();
		});
	}
}

// What was said about one object of one sample, and what the model answers. No DOM, no React.
import { pause, Refusal, type Call, type OperatorName, type SampleDocument } from "./app";
import type { RelativeBox } from "./geometry";

export type Sign = 0 | 1;
export type Prompt =
  | { kind: "point"; x: number; y: number; sign: Sign }
  | { kind: "box"; box: RelativeBox };

export interface Answer {
  /** Address of a picture of the mask's crop; null if nothing was found. */
  mask: string | null;
  box: RelativeBox;
  score: number;
  area: number;
  answer: number;
  answers: number;
  /** Where a label's mask is corrected: names that mask as it was found. */
  mark?: string;
  /** Pixels of it that the answer changes. */
  added?: number;
  removed?: number;
}

export interface LabelChoice {
  field: string;
  id: string;
  label: string;
  box: RelativeBox;
  has_mask: boolean;
  /** Names its box and mask as they are: what is written over must be what was looked at. */
  mark: string;
}

export interface Choices {
  fields: string[];
  labels: LabelChoice[];
  classes: string[];
  undo: number;
}

/** Where an accepted mask goes: to a label that is there, or to a new one of a class. */
export interface Target {
  field: string;
  label_id: string;
  label: string;
  /** Of the label that is there; "" of a new one. */
  mark: string;
}

/** The label whose mask the prompts correct. */
export interface Start {
  field: string;
  label_id: string;
}

export type Preparation = "preparing" | "ready" | "failed";

const POLL = 250;
const MOST_DRAFTS = 50;

/** What was said and not accepted, by sample, for those who turn away and come back. */
const drafts = new Map<string, Pick<Session, "prompts" | "chosen" | "start">>();

export class Session {
  prompts: Prompt[] = [];
  /** Which of several answers was chosen; null for what the model takes. */
  chosen: number | null = null;
  /** Null where a mask is asked for anew. */
  start: Start | null = null;
  answer: Answer | null = null;
  /** [height, width] as the server reads the picture; null until it did. */
  size: readonly [number, number] | null = null;
  preparation: Preparation = "preparing";
  choices: Choices = { fields: [], labels: [], classes: [], undo: 0 };
  /** The sentence of the last thing that went wrong. */
  error = "";
  /** Milliseconds that the last answer took. */
  took = 0;
  /** Whether a mask is being written or taken back. */
  writing = false;
  private wanted = 0;
  private given = 0;
  private asking = false;
  private accepting = false;
  /** Whether opening the sample failed last; the next click tries it again. */
  private unopened = false;
  private closed = false;
  /** A sentence that stays to be seen until something else is said. */
  private notice = "";

  constructor(
    private readonly call: Call,
    readonly sampleId: string,
    readonly model: string,
    private readonly changed: () => void,
    /** Told what a sample is now, and the field that was made for it, if any. */
    private readonly written: (sample: SampleDocument, field: string) => void,
  ) {}

  /** Whether what is shown is the answer to all that was said. */
  get settled(): boolean {
    return this.wanted === this.given;
  }

  async open(): Promise<void> {
    const draft = drafts.get(this.sampleId);
    drafts.delete(this.sampleId);
    if (draft) {
      Object.assign(this, draft);
      void this.ask();
    }
    await this.prepare();
  }

  private async prepare(): Promise<void> {
    try {
      for (;;) {
        const said = await this.call("reprompt_open", this.named({}));
        if (this.closed) return;
        this.choices = said as unknown as Choices;
        this.size = (said["size"] as [number, number] | undefined) ?? this.size;
        const { start } = this;
        if (start && !this.choices.labels.some(({ id }) => id === start.label_id)) this.begin(null);
        this.preparation = said["state"] as Preparation;
        this.unopened = this.preparation === "failed";
        if (this.unopened) this.error = String(said["error"]);
        this.changed();
        if (this.preparation !== "preparing") return;
        await pause(POLL);
      }
    } catch (error) {
      this.preparation = "failed";
      this.unopened = true;
      this.fail(error);
    }
  }

  close(): void {
    this.closed = true;
    if (!this.accepting) this.keepDraft(); // else it is kept where it is not written
  }

  private keepDraft(): void {
    if (!this.prompts.length) return;
    drafts.set(this.sampleId, {
      prompts: this.prompts,
      chosen: this.chosen,
      start: this.start,
    });
    const [oldest] = drafts.keys();
    if (drafts.size > MOST_DRAFTS && oldest) drafts.delete(oldest);
  }

  /** Whether there is something to write: an answer to all that was said, which is a mask. */
  get acceptable(): boolean {
    return this.settled && !this.writing && this.prompts.length > 0 && !!this.answer?.mask;
  }

  /** Correct a label's mask from now on, or null: ask for a mask anew. */
  begin(start: Start | null): void {
    if (this.start?.label_id === start?.label_id) return;
    this.start = start;
    this.chosen = null;
    void this.ask();
  }

  say(prompt: Prompt): void {
    if (prompt.kind === "box") this.prompts = this.prompts.filter(({ kind }) => kind !== "box");
    this.prompts = [...this.prompts, prompt];
    void this.ask();
  }

  /** Take the last click or box back. */
  unsay(): void {
    if (!this.prompts.length) return;
    this.prompts = this.prompts.slice(0, -1);
    if (!this.prompts.length) this.chosen = null;
    void this.ask();
  }

  /** Forget everything that was said; nothing was written. */
  clear(): void {
    this.prompts = [];
    this.chosen = null;
    this.error = "";
    void this.ask();
  }

  /** The next of several answers to a single click. */
  next(): void {
    if (!this.answer || this.answer.answers < 2 || !this.settled) return;
    this.chosen = (this.answer.answer + 1) % this.answer.answers;
    void this.ask();
  }

  /** Write the mask; what was said is forgotten only when it is written. */
  async accept(target: Target): Promise<void> {
    if (this.writing) return;
    const start = this.start && { ...this.start, mark: this.answer?.mark ?? "" };
    this.accepting = true;
    const written = await this.write("reprompt_accept", { ...this.said(), start, ...target });
    this.accepting = false;
    if (written) this.clear();
    else if (this.closed) this.keepDraft();
  }

  /** Take back what was accepted last. */
  async takeBack(): Promise<void> {
    if ((await this.write("reprompt_undo", {})) && this.start) void this.ask();
  }

  private async write(name: OperatorName, params: object): Promise<boolean> {
    if (this.writing) return false;
    this.writing = true;
    this.changed();
    try {
      const said = await this.call(name, this.named(params));
      this.written(said["sample"] as SampleDocument, String(said["new_field"] ?? ""));
      await this.prepare();
      return true;
    } catch (error) {
      this.fail(error);
      const changed = error instanceof Refusal ? error.said["sample"] : null;
      if (changed) this.written(changed as SampleDocument, "");
      await this.prepare(); // labels may have gone, and one step less may be left to take back
      if (changed) void this.ask(sentence(error)); // of the label as it is now
      return false;
    } finally {
      this.writing = false;
      this.changed();
    }
  }

  private async ask(notice = ""): Promise<void> {
    this.notice = notice;
    this.wanted += 1;
    this.changed();
    if (this.asking) return;
    this.asking = true;
    try {
      while (!this.settled && !this.closed) await this.askOnce(this.wanted);
    } finally {
      this.asking = false;
    }
  }

  private async askOnce(number: number): Promise<void> {
    const start = performance.now();
    let answer: Answer | null = null;
    let error = "";
    if (this.prompts.length || this.start) {
      try {
        const said = await this.call("reprompt_click", this.named(this.said()));
        this.hear(said);
        if (said["state"] === "preparing") return pause(POLL);
        if (said["state"] === "failed") error = String(said["error"]);
        else answer = said as unknown as Answer;
      } catch (reason) {
        error = sentence(reason);
      }
    }
    if (this.closed || number !== this.wanted) return; // more was said meanwhile: ask for all of it
    this.given = number;
    this.answer = answer;
    this.error = error || this.notice;
    this.took = performance.now() - start;
    this.changed();
  }

  /** How far the picture is, as any answer says. */
  private hear(said: Record<string, unknown>): void {
    this.size = (said["size"] as [number, number] | undefined) ?? this.size;
    this.preparation = said["state"] as Preparation;
    if (!this.unopened || this.preparation !== "ready") return;
    this.unopened = false;
    void this.prepare(); // what to choose from
  }

  private said(): object {
    const points = this.prompts.flatMap((one) =>
      one.kind === "point" ? [[one.x, one.y, one.sign]] : [],
    );
    const box = this.prompts.find((one) => one.kind === "box")?.box ?? null;
    const start = this.start && { ...this.start, mark: "" };
    return { points, box, start, answer: this.chosen };
  }

  private named(params: object): object {
    return { ...params, sample_id: this.sampleId, model: this.model };
  }

  private fail(error: unknown): void {
    this.error = sentence(error);
    this.changed();
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

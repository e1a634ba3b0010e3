// What FiftyOne's App hands to plugins as globals, as far as this panel uses it.
import type * as ReactModule from "react";
import type { LookerState } from "./geometry";

/** The App's viewer of one sample. */
export interface Looker {
  state: LookerState & { config?: { fieldSchema?: object } };
  canvas: HTMLCanvasElement;
  /** What is shown, once it is loaded. */
  sample?: { _id?: string; id?: string };
}

export interface SelectedLabel {
  labelId: string;
  field: string;
  sampleId: string;
}

export interface SampleDocument {
  _id: string;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

interface SpaceNode {
  type: string;
  parent?: SpaceNode;
}

interface OperatorResult {
  result: unknown;
  error: unknown;
  errorMessage?: string;
}

interface Executor {
  execute(
    params: object,
    options: {
      skipOutput: boolean;
      skipErrorNotification: boolean;
      callback: (result: OperatorResult) => void;
    },
  ): void;
}

/** A recoil atom or selector; opaque. */
type RecoilValue<T> = { readonly key: string; readonly __holds?: T };

interface RecoilTools {
  snapshot: { getPromise<T>(value: RecoilValue<T>): Promise<T> };
  set<T>(value: RecoilValue<T>, to: T): void;
}

interface SidebarGroup {
  paths: readonly string[];
}

interface Globals {
  React: typeof ReactModule;
  recoil: {
    useRecoilValue<T>(value: RecoilValue<T>): T;
    useRecoilCallback<Arguments extends unknown[], Result>(
      make: (tools: RecoilTools) => (...values: Arguments) => Result,
    ): (...values: Arguments) => Result;
  };
  __fos__: {
    modalLooker: RecoilValue<Looker | null>;
    nullableModalSampleId: RecoilValue<string | null>;
    selectedLabels: RecoilValue<SelectedLabel[]>;
    /** Fields that are shown, and those that the sidebar lists: in the modal, or in the grid. */
    activeFields(where: { modal: boolean }): RecoilValue<readonly string[]>;
    sidebarGroupsDefinition(modal: boolean): RecoilValue<readonly SidebarGroup[]>;
    fieldSchema(where: { space: unknown }): RecoilValue<object>;
    State: { SPACE: { SAMPLE: unknown } };
    /** Gives a function that shows a sample as it is now, in the modal and in the grid. */
    useRefreshSample(): (sample: SampleDocument) => void;
  };
  __fosp__: {
    useSpaces(id: string): {
      spaces: {
        setNodeActive(node: SpaceNode): void;
        canSplitLayout(node: SpaceNode): boolean;
        splitLayout(node: SpaceNode, layout: "horizontal" | "vertical", moved: SpaceNode): void;
      };
    };
    useSpaceNodes(id: string): SpaceNode[];
  };
  __foo__: { useOperatorExecutor(uri: string): Executor };
  __fop__: {
    registerComponent(registration: object): void;
    PluginComponentType: { Panel: number };
  };
}

export const app = globalThis as unknown as Globals;
export const React = app.React;

/** Name of the panel. */
export const PANEL = "sam_reprompt";
const PLUGIN = "@sam-plugins/sam";
const LOOK_AGAIN = 100; // milliseconds
const LOOKS = 100;
const PICTURE = "fo-sample-modal-plugin"; // the App's own panel, which shows the sample
const MODAL_SPACES = "fiftyone-modal-spaces";

/** A hook: once, moves the panel beside the picture where it would cover it. */
export function useBeside(): void {
  const { spaces } = app.__fosp__.useSpaces(MODAL_SPACES);
  const nodes = app.__fosp__.useSpaceNodes(MODAL_SPACES);
  React.useEffect(() => {
    const node = nodes.find(({ type }) => type === PANEL);
    const picture = nodes.find(({ type }) => type === PICTURE);
    const around = node?.parent;
    if (!node || !around || !spaces.canSplitLayout(around)) return;
    if (picture) spaces.setNodeActive(picture); // else whichever panel is the last would show
    spaces.splitLayout(around, "horizontal", node);
  }, []);
}

export function shownId(looker: Looker | null): string | null {
  return looker?.sample?._id ?? looker?.sample?.id ?? null;
}

/**
 * A hook: id of the sample whose picture is shown. While the App turns to another sample, or shows
 * another slice of a group, that is not the one that it has chosen.
 */
export function useShownSample(): { looker: Looker | null; sampleId: string | null } {
  const looker = app.recoil.useRecoilValue(app.__fos__.modalLooker);
  const chosen = app.recoil.useRecoilValue(app.__fos__.nullableModalSampleId);
  const [shown, show] = React.useState<string | null>(null);
  React.useEffect(() => {
    const look = () => show(shownId(looker) ?? chosen);
    look();
    const timer = setInterval(look, LOOK_AGAIN);
    return () => clearInterval(timer);
  }, [looker, chosen]);
  return { looker, sampleId: shown };
}

/**
 * A hook: gives a function that shows a field in the modal that was made while the modal is open.
 * The App tells the grid alone of such a field, and the modal when that is opened.
 */
export function useShowField(): (field: string, looker: Looker | null) => Promise<void> {
  const { activeFields, fieldSchema, sidebarGroupsDefinition, State } = app.__fos__;
  const show = app.recoil.useRecoilCallback(
    ({ snapshot, set }) =>
      async (field: string, looker: Looker | null) => {
        const groups = await snapshot.getPromise(sidebarGroupsDefinition(false));
        if (!groups.some(({ paths }) => paths.includes(field))) return false;
        const shown = await snapshot.getPromise(activeFields({ modal: true }));
        const schema = await snapshot.getPromise(fieldSchema({ space: State.SPACE.SAMPLE }));
        Object.assign(looker?.state.config?.fieldSchema ?? {}, schema); // it was given this once
        set(sidebarGroupsDefinition(true), groups);
        if (!shown.includes(field)) set(activeFields({ modal: true }), [field, ...shown]);
        return true;
      },
  );
  const latest = React.useRef(show);
  latest.current = show;
  return React.useCallback(async (field, looker) => {
    for (let look = 0; look < LOOKS && !(await latest.current(field, looker)); look += 1)
      await pause(LOOK_AGAIN);
  }, []);
}

/** A sentence that an operator refuses with, and what else it said. */
export class Refusal extends Error {
  constructor(
    sentence: string,
    readonly said: Record<string, unknown>,
  ) {
    super(sentence);
  }
}

/** Calls an operator of this plugin; rejects with a sentence, a `Refusal` where it is Python's. */
export type Call = (name: OperatorName, params: object) => Promise<Record<string, unknown>>;
export type OperatorName =
  | "reprompt_open"
  | "reprompt_click"
  | "reprompt_accept"
  | "reprompt_undo";

/** A hook: the operators of this plugin as promises. */
export function useCall(): Call {
  const executors: Record<OperatorName, Executor> = {
    reprompt_open: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_open`),
    reprompt_click: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_click`),
    reprompt_accept: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_accept`),
    reprompt_undo: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_undo`),
  };
  const latest = React.useRef(executors);
  latest.current = executors;
  return React.useCallback<Call>(
    (name, params) =>
      new Promise((resolve, reject) => {
        latest.current[name].execute(params, {
          skipOutput: true,
          skipErrorNotification: true,
          callback: ({ result, error, errorMessage }) => {
            const said = (result ?? {}) as Record<string, unknown>;
            if (error) reject(new Error(errorMessage || "The server does not answer."));
            else if (typeof said["error"] === "string" && said["state"] === undefined)
              reject(new Refusal(said["error"], said));
            else resolve(said);
          },
        });
      }),
    [],
  );
}

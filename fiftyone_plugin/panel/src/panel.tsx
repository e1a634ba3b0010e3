// The panel beside the sample: turns re-prompting on, says what happens, and holds the buttons.
import {
  app,
  React,
  shownId,
  useBeside,
  useCall,
  useShowField,
  useShownSample,
  type Looker,
} from "./app";
import { Overlay } from "./overlay";
import { Button } from "./button";
import { isSameShape } from "./geometry";
import { Session } from "./session";
import { styles } from "./styles";
import { useTarget } from "./target";

const MODEL_KEY = "sam-plugins-reprompt-model";
/** Every key, and what it does. */
const KEYS: readonly (readonly [string, string])[] = [
  ["Click", "this is part of the object (green dot)"],
  ["Alt+click, right click", "this is not part of it (red dot)"],
  ["Drag", "a box around the object"],
  ["Shift+click", "choose the label that is there"],
  ["Wheel", "zoom"],
  ["Space or middle button, drag", "move the picture"],
  ["N", "the next of three answers"],
  ["Backspace", "take the last click or box back"],
  ["Enter", "accept"],
  ["Escape", "forget the clicks; again: stop"],
];

export function Panel() {
  useBeside();
  const call = useCall();
  const showField = useShowField();
  const refresh = useLatest(app.__fos__.useRefreshSample());
  const { looker, sampleId } = useShownSample();
  const shownOn = useLatest(looker);
  const selected = app.recoil.useRecoilValue(app.__fos__.selectedLabels);
  const [on, setOn] = React.useState(true);
  const [model, setModel] = React.useState(() => localStorage.getItem(MODEL_KEY) ?? "nano");
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  const [session, setSession] = React.useState<Session | null>(null);
  const overlay = React.useRef<Overlay | null>(null);

  React.useEffect(() => {
    if (!on || !sampleId) return;
    const opened = new Session(call, sampleId, model, redraw, (sample, field) => {
      if (sample._id !== sampleId) return;
      refresh.current(sample);
      if (field) void showField(field, shownOn.current).then(() => refresh.current(sample));
    });
    setSession(opened);
    void opened.open();
    return () => {
      opened.close();
      setSession(null);
    };
  }, [call, on, sampleId, model]);

  React.useEffect(() => {
    if (!session || !looker) return;
    const made = new Overlay(looker, (prompt) => {
      const shown = shownId(looker) ?? session.sampleId;
      if (shown === session.sampleId && !otherShape(session, looker)) session.say(prompt);
    });
    overlay.current = made;
    return () => {
      overlay.current = null;
      made.close();
    };
  }, [session, looker]);

  useShown(session, looker, overlay);
  const target = useTarget(session, selected);
  const problem = session ? otherShape(session, looker) : "";
  const acceptable = !!session?.acceptable && !problem;
  const accept = () => {
    if (session?.acceptable && !otherShape(session, looker)) void session.accept(target.value);
  };
  useKeys(session, overlay, accept, () => setOn(false));

  return (
    <div style={styles.panel} data-cy="sam-reprompt">
      <label style={styles.row}>
        <input type="checkbox" checked={on} onChange={(event) => setOn(event.target.checked)} />
        <b>Click on the picture</b>
      </label>
      {session ? (
        <>
          {target.form}
          <Status session={session} problem={problem} />
          <Buttons session={session} acceptable={acceptable} accept={accept} />
          <p style={styles.help} data-cy="sam-reprompt-meaning">
            {target.meaning}
          </p>
          <label style={styles.row}>
            Model
            <input
              style={styles.field}
              defaultValue={model}
              onBlur={(event) => {
                localStorage.setItem(MODEL_KEY, event.target.value);
                setModel(event.target.value || "nano");
              }}
            />
          </label>
          <dl style={styles.keys}>
            {KEYS.map(([key, meaning]) => (
              <React.Fragment key={key}>
                <dt>{key}</dt>
                <dd style={styles.meaning}>{meaning}</dd>
              </React.Fragment>
            ))}
          </dl>
        </>
      ) : null}
    </div>
  );
}

/** Why clicks on this picture would land elsewhere; empty where they do not. */
function otherShape(session: Session, looker: Looker | null): string {
  const shown = looker?.state.dimensions;
  if (!shown || !session.size || isSameShape(shown, session.size)) return "";
  const [height, width] = session.size;
  return (
    `The App shows ${shown[0]} x ${shown[1]} pixels here, and the sample's picture has ${width} x ` +
    `${height}: clicks would land elsewhere. Where the App shows another media field, choose ` +
    "filepath in its settings; else save the picture turned as it should be seen."
  );
}

function Status({ session, problem }: { session: Session; problem: string }) {
  const error = problem || session.error;
  return (
    <>
      <p style={styles.status} data-cy="sam-reprompt-status" data-state={session.preparation}>
        {stateOf(session)}
      </p>
      {error ? (
        <p style={styles.error} data-cy="sam-reprompt-error" role="alert">
          {error}
        </p>
      ) : null}
    </>
  );
}

/** What is to be seen, and what to do next, in a sentence. */
function stateOf({ answer, preparation, prompts, settled, start }: Session): string {
  if (preparation === "preparing") return "Preparing the picture; you can click already.";
  if (preparation === "failed") return "Nothing can be asked yet; below is why.";
  if (!settled) return "Asking.";
  if (start && !prompts.length)
    return "This is its mask. Click on what is missing; Alt+click on what is too much.";
  if (!answer) return "Ready: click on an object, or drag a box around it.";
  if (!answer.mask)
    return start
      ? "Nothing of the mask is left: take the last click back, or delete the label in the App."
      : "Nothing found there: click elsewhere, or draw a box.";
  const sure = `Predicted IoU ${answer.score.toFixed(2)}`;
  if (start && !answer.added && !answer.removed)
    return "That changes nothing: click further inside what is missing or too much.";
  if (start)
    return `${answer.added} pixels more, ${answer.removed} less: ${answer.area} pixels. ${sure}.`;
  const which = answer.answers > 1 ? `Answer ${answer.answer + 1} of ${answer.answers}. ` : "";
  return `${which}${sure}, ${answer.area} pixels.`;
}

interface ButtonsProps {
  session: Session;
  acceptable: boolean;
  accept: () => void;
}

function Buttons({ session, acceptable, accept }: ButtonsProps) {
  const { answer, prompts, choices, settled, writing } = session;
  const button = (name: string, text: string, usable: boolean, act: () => void) => (
    <Button name={name} usable={usable && !writing} act={act}>
      {text}
    </Button>
  );
  return (
    <div style={styles.row}>
      {button("accept", "Accept", acceptable, accept)}
      {button("next", "Next answer", settled && (answer?.answers ?? 1) > 1, () => session.next())}
      {button("unsay", "Undo click", prompts.length > 0, () => session.unsay())}
      {button("cancel", "Forget clicks", prompts.length > 0, () => session.clear())}
      {button("undo", "Take back accepted", choices.undo > 0, () => void session.takeBack())}
    </div>
  );
}

/** The mask as a picture, given to the overlay when it is decoded. */
function useShown(
  session: Session | null,
  looker: Looker | null,
  overlay: React.RefObject<Overlay | null>,
) {
  const answer = session?.answer ?? null;
  const prompts = session?.prompts;
  React.useEffect(() => {
    if (overlay.current) overlay.current.shown = { ...overlay.current.shown, prompts: prompts ?? [] };
  }, [prompts, session, looker]);
  React.useEffect(() => {
    let current = true;
    const show = (mask: Overlay["shown"]["mask"]) => {
      if (current && overlay.current) overlay.current.shown = { ...overlay.current.shown, mask };
    };
    if (!answer?.mask) show(null);
    else {
      const image = new Image();
      image.src = answer.mask;
      void image.decode().then(() => show({ image, box: answer.box }));
    }
    return () => {
      current = false;
    };
  }, [answer, session, looker]);
}

/** Keys while re-prompting is on, before the App sees them. */
function useKeys(
  session: Session | null,
  overlay: React.RefObject<Overlay | null>,
  accept: () => void,
  leave: () => void,
) {
  const latest = useLatest({ accept, leave });
  React.useEffect(() => {
    if (!session) return;
    const listening = new AbortController();
    const options = { capture: true, signal: listening.signal };
    const moving = (value: boolean) => {
      if (overlay.current) overlay.current.moving = value;
    };
    const act: Record<string, () => void> = {
      Enter: () => latest.current.accept(),
      n: () => session.next(),
      Backspace: () => session.unsay(),
      "ctrl z": () => session.unsay(),
      Escape: () => (session.prompts.length ? session.clear() : latest.current.leave()),
      " ": () => moving(true),
    };
    const named = (event: KeyboardEvent) =>
      event.ctrlKey || event.metaKey ? `ctrl ${event.key}` : event.key;
    const isOurs = (event: KeyboardEvent) => named(event) in act && !isTyping(event);
    const swallow = (event: KeyboardEvent) => {
      event.stopImmediatePropagation();
      event.preventDefault();
    };
    window.addEventListener(
      "keydown",
      (event) => {
        if (!isOurs(event)) return;
        swallow(event);
        act[named(event)]?.();
      },
      options,
    );
    window.addEventListener(
      "keyup",
      (event) => {
        if (event.key === " ") moving(false);
        if (isOurs(event)) swallow(event);
      },
      options,
    );
    return () => listening.abort();
  }, [session]);
}

/** Whether a key belongs to a field that is being filled in; Escape leaves it and goes no further. */
function isTyping(event: KeyboardEvent): boolean {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  const field =
    target instanceof HTMLInputElement
      ? target.type !== "checkbox"
      : target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
  if (field && event.key === "Escape") {
    target.blur();
    event.stopImmediatePropagation();
  }
  return field;
}

function useLatest<T>(value: T): { current: T } {
  const latest = React.useRef(value);
  latest.current = value;
  return latest;
}

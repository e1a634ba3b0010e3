// The panel beside the sample: turns re-prompting on, says what happens, and holds the buttons.
import {
  app,
  React,
  shownId,
  useBeside,
  useCall,
  useShownSample,
  type Looker,
  type SelectedLabel,
} from "./app";
import { Overlay } from "./overlay";
import { Session, type Target } from "./session";
import { styles } from "./styles";

const MODEL_KEY = "sam-plugins-reprompt-model";
const NEW = "";

export function Panel() {
  useBeside();
  const call = useCall();
  const refresh = useLatest(app.__fos__.useRefreshSample());
  const { looker, sampleId } = useShownSample();
  const selected = app.recoil.useRecoilValue(app.__fos__.selectedLabels);
  const [on, setOn] = React.useState(true);
  const [model, setModel] = React.useState(() => localStorage.getItem(MODEL_KEY) ?? "nano");
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  const [session, setSession] = React.useState<Session | null>(null);
  const overlay = React.useRef<Overlay | null>(null);

  React.useEffect(() => {
    if (!on || !sampleId) return;
    const opened = new Session(call, sampleId, model, redraw, (sample) => {
      if (sample._id === sampleId) refresh.current(sample);
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
      if (shown === session.sampleId) session.say(prompt);
    });
    overlay.current = made;
    return () => {
      overlay.current = null;
      made.close();
    };
  }, [session, looker]);

  useShown(session, looker, overlay);
  const target = useTarget(session, selected);
  const accept = React.useCallback(() => {
    if (session?.answer?.mask && session.settled && !session.writing)
      void session.accept(target.value);
  }, [session, target.value]);
  useKeys(session, overlay, accept, () => setOn(false));

  return (
    <div style={styles.panel} data-cy="sam-reprompt">
      <label style={styles.row}>
        <input type="checkbox" checked={on} onChange={(event) => setOn(event.target.checked)} />
        <b>Click on the picture</b>
      </label>
      {session ? (
        <>
          <Status session={session} />
          <Buttons session={session} accept={accept} />
          {target.form}
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
          <p style={styles.help}>
            Click: part of the object. Alt or right click: not part of it. Drag: a box around it.
            Wheel: zoom. Space or middle button and drag: move. N: next answer. Backspace: take the
            last click back. Enter: accept. Escape: cancel.
          </p>
        </>
      ) : null}
    </div>
  );
}

function Status({ session }: { session: Session }) {
  const { answer } = session;
  let text = "Ready: click on an object.";
  if (session.preparation === "preparing") text = "Preparing the picture; you can click already.";
  else if (!session.settled) text = "Asking.";
  else if (answer && !answer.mask) text = "Nothing found there: click elsewhere, or draw a box.";
  else if (answer) {
    const which = answer.answers > 1 ? `Answer ${answer.answer + 1} of ${answer.answers}. ` : "";
    text = `${which}Predicted IoU ${answer.score.toFixed(2)}, ${answer.area} pixels.`;
  }
  return (
    <>
      <p style={styles.status} data-cy="sam-reprompt-status" data-state={session.preparation}>
        {text}
      </p>
      {session.error ? (
        <p style={styles.error} data-cy="sam-reprompt-error" role="alert">
          {session.error}
        </p>
      ) : null}
    </>
  );
}

function Buttons({ session, accept }: { session: Session; accept: () => void }) {
  const { answer, prompts, choices, settled, writing } = session;
  const button = (name: string, text: string, usable: boolean, act: () => void) => (
    <Button name={name} usable={usable && !writing} act={act}>
      {text}
    </Button>
  );
  return (
    <div style={styles.row}>
      {button("accept", "Accept", settled && !!answer?.mask, accept)}
      {button("next", "Next answer", settled && (answer?.answers ?? 1) > 1, () => session.next())}
      {button("unsay", "Undo click", prompts.length > 0, () => session.unsay())}
      {button("cancel", "Cancel", prompts.length > 0, () => session.clear())}
      {button("undo", "Take back accepted", choices.undo > 0, () => void session.takeBack())}
    </div>
  );
}

interface ButtonProps {
  name: string;
  usable: boolean;
  act: () => void;
  children: string;
}

/** Lets go of the focus when it is pressed, so that keys mean the picture again. */
function Button({ name, usable, act, children }: ButtonProps) {
  return (
    <button
      style={usable ? styles.button : styles.unusable}
      data-cy={`sam-reprompt-${name}`}
      disabled={!usable}
      onClick={(event) => {
        event.currentTarget.blur();
        act();
      }}
    >
      {children}
    </button>
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

/** Where an accepted mask goes: the label selected in the App, or what is chosen in the form. */
function useTarget(session: Session | null, selected: SelectedLabel[]) {
  const [chosen, choose] = React.useState(NEW);
  const [field, setField] = React.useState("");
  const [label, setLabel] = React.useState("");
  const choices = session?.choices;
  const picked = selected.find(({ labelId }) => choices?.labels?.some(({ id }) => id === labelId));
  React.useEffect(() => choose(picked?.labelId ?? NEW), [picked?.labelId, session?.sampleId]);
  const existing = choices?.labels?.find(({ id }) => id === chosen);
  const value: Target = existing
    ? { field: existing.field, label_id: existing.id, label: existing.label }
    : { field: field || (choices?.fields?.[0] ?? "sam_masks"), label_id: NEW, label };
  const form = choices ? (
    <>
      <label style={styles.row}>
        Accept as
        <select
          style={styles.field}
          data-cy="sam-reprompt-target"
          value={existing ? chosen : NEW}
          onChange={(event) => choose(event.target.value)}
        >
          <option value={NEW}>a new label</option>
          {choices.labels?.map((one) => (
            <option key={one.id} value={one.id}>
              {`${one.field}: ${one.label || "(no class)"} ${one.id.slice(-4)}`}
            </option>
          ))}
        </select>
      </label>
      {existing ? (
        <Button
          name="use-box"
          usable
          act={() => session?.say({ kind: "box", box: existing.box })}
        >
          Ask with its box
        </Button>
      ) : (
        <div style={styles.row}>
          <input
            style={styles.field}
            data-cy="sam-reprompt-class"
            placeholder="class"
            list="sam-reprompt-classes"
            value={label}
            onChange={(event) => setLabel(event.target.value)}
          />
          <datalist id="sam-reprompt-classes">
            {choices.classes?.map((name) => <option key={name} value={name} />)}
          </datalist>
          in
          <input
            style={styles.field}
            data-cy="sam-reprompt-field"
            list="sam-reprompt-fields"
            value={field}
            placeholder={value.field}
            onChange={(event) => setField(event.target.value)}
          />
          <datalist id="sam-reprompt-fields">
            {choices.fields?.map((name) => <option key={name} value={name} />)}
          </datalist>
        </div>
      )}
    </>
  ) : null;
  return { value, form };
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

// What is asked about: a new object, or a label that is there, corrected or made anew.
import { React, type SelectedLabel } from "./app";
import { Button } from "./button";
import type { LabelChoice, Session, Target } from "./session";
import { styles } from "./styles";

const NEW = "";
const FIELD = "sam_masks"; // of a dataset that has no field of Detections yet

/** A hook: where an accepted mask goes, the form that says so, and what accepting it will do. */
export function useTarget(session: Session | null, selected: SelectedLabel[]) {
  const [chosen, choose] = React.useState(NEW);
  const [field, setField] = React.useState("");
  const [label, setLabel] = React.useState("");
  const labels = session?.choices.labels ?? [];
  const find = (id: string) => labels.find((one) => one.id === id);
  const take = (id: string) => {
    choose(id);
    if (!session || session.start?.label_id === id) return;
    const one = find(id);
    if (session.start) session.clear(); // clicks on another mask
    // Clicks that were made before a label is chosen are what its mask is made of.
    session.begin(one?.has_mask && !session.prompts.length ? startOf(one) : null);
  };

  const picked = [...selected].reverse().find(({ labelId }) => find(labelId))?.labelId;
  const before = React.useRef({ picked, session });
  React.useEffect(() => {
    if (picked) take(picked);
    else if (before.current.picked && before.current.session === session) take(NEW);
    else choose(session?.start?.label_id ?? NEW);
    before.current = { picked, session };
  }, [picked, session]);

  const existing = find(chosen);
  const value: Target = existing
    ? { field: existing.field, label_id: existing.id, label: existing.label, mark: existing.mark }
    : { field: field || (session?.choices.fields[0] ?? FIELD), label_id: NEW, label, mark: "" };
  const form = session ? (
    <>
      <label style={styles.row}>
        Object
        <select
          style={styles.field}
          data-cy="sam-reprompt-target"
          value={existing ? chosen : NEW}
          onChange={(event) => {
            event.currentTarget.blur(); // keys mean the picture again
            take(event.target.value);
          }}
        >
          <option value={NEW}>a new one</option>
          {labels.map((one, number) => (
            <option key={one.id} value={one.id}>
              {nameOf(one, numberOf(labels, number))}
            </option>
          ))}
        </select>
      </label>
      {existing ? (
        <Existing session={session} label={existing} />
      ) : (
        <div style={styles.row}>
          Class
          <input
            style={styles.field}
            data-cy="sam-reprompt-class"
            placeholder="type or choose"
            list="sam-reprompt-classes"
            value={label}
            onChange={(event) => setLabel(event.target.value)}
          />
          <datalist id="sam-reprompt-classes">
            {session.choices.classes.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          in field
          <input
            style={styles.field}
            data-cy="sam-reprompt-field"
            list="sam-reprompt-fields"
            value={field}
            placeholder={value.field}
            onChange={(event) => setField(event.target.value)}
          />
          <datalist id="sam-reprompt-fields">
            {session.choices.fields.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </div>
      )}
    </>
  ) : null;
  return { value, form, meaning: meaningOf(value, existing) };
}

/** How a label that is there is asked about. */
function Existing({ session, label }: { session: Session; label: LabelChoice }) {
  const corrects = session.start !== null;
  const way = (name: string, text: string, checked: boolean, act: () => void) => (
    <label style={styles.row}>
      <input
        type="radio"
        data-cy={`sam-reprompt-${name}`}
        checked={checked}
        onChange={(event) => {
          event.currentTarget.blur();
          act();
        }}
      />
      {text}
    </label>
  );
  return (
    <>
      {label.has_mask ? (
        <div style={styles.row}>
          {way("correct", "Correct its mask", corrects, () => session.begin(startOf(label)))}
          {way("anew", "Make it anew", !corrects, () => session.begin(null))}
        </div>
      ) : null}
      {corrects ? null : (
        <div style={styles.row}>
          <Button name="use-box" usable act={() => session.say({ kind: "box", box: label.box })}>
            Ask with its box
          </Button>
        </div>
      )}
    </>
  );
}

function startOf({ field, id }: LabelChoice) {
  return { field, label_id: id };
}

/** Its place among the labels of its field and class, from 1. */
function numberOf(labels: readonly LabelChoice[], place: number): number {
  const { field, label } = labels[place] as LabelChoice;
  const before = labels.slice(0, place + 1);
  return before.filter((one) => one.field === field && one.label === label).length;
}

function nameOf({ field, label, has_mask }: LabelChoice, number: number): string {
  return `${label || "(no class)"} ${number} in ${field}${has_mask ? "" : ", a box without a mask"}`;
}

function meaningOf(value: Target, existing: LabelChoice | undefined): string {
  if (!existing)
    return (
      `Accept adds a label to ${value.field}` +
      (value.label ? ` with the class ${value.label}.` : ". Type its class first.")
    );
  const name = existing.label || "this label";
  return (
    `Accept gives ${name} in ${existing.field} this mask. Its class, tags and other values stay, ` +
    "and it can be taken back."
  );
}

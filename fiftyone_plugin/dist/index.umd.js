// Built from fiftyone_plugin/panel by scripts/build-panel; Apache-2.0.
"use strict";
(() => {
  // src/app.ts
  function pause(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
  var app = globalThis;
  var React = app.React;
  var PANEL = "sam_reprompt";
  var PLUGIN = "@sam-plugins/sam";
  var LOOK_AGAIN = 100;
  var LOOKS = 100;
  var PICTURE = "fo-sample-modal-plugin";
  var MODAL_SPACES = "fiftyone-modal-spaces";
  function useBeside() {
    const { spaces } = app.__fosp__.useSpaces(MODAL_SPACES);
    const nodes = app.__fosp__.useSpaceNodes(MODAL_SPACES);
    React.useEffect(() => {
      const node = nodes.find(({ type }) => type === PANEL);
      const picture = nodes.find(({ type }) => type === PICTURE);
      const around = node?.parent;
      if (!node || !around || !spaces.canSplitLayout(around)) return;
      if (picture) spaces.setNodeActive(picture);
      spaces.splitLayout(around, "horizontal", node);
    }, []);
  }
  function shownId(looker) {
    return looker?.sample?._id ?? looker?.sample?.id ?? null;
  }
  function useShownSample() {
    const looker = app.recoil.useRecoilValue(app.__fos__.modalLooker);
    const chosen = app.recoil.useRecoilValue(app.__fos__.nullableModalSampleId);
    const [shown, show] = React.useState(null);
    React.useEffect(() => {
      const look = () => show(shownId(looker) ?? chosen);
      look();
      const timer = setInterval(look, LOOK_AGAIN);
      return () => clearInterval(timer);
    }, [looker, chosen]);
    return { looker, sampleId: shown };
  }
  function useShowField() {
    const { activeFields, fieldSchema, sidebarGroupsDefinition, State } = app.__fos__;
    const show = app.recoil.useRecoilCallback(
      ({ snapshot, set }) => async (field2, looker) => {
        const groups = await snapshot.getPromise(sidebarGroupsDefinition(false));
        if (!groups.some(({ paths }) => paths.includes(field2))) return false;
        const shown = await snapshot.getPromise(activeFields({ modal: true }));
        const schema = await snapshot.getPromise(fieldSchema({ space: State.SPACE.SAMPLE }));
        Object.assign(looker?.state.config?.fieldSchema ?? {}, schema);
        set(sidebarGroupsDefinition(true), groups);
        if (!shown.includes(field2)) set(activeFields({ modal: true }), [field2, ...shown]);
        return true;
      }
    );
    const latest = React.useRef(show);
    latest.current = show;
    return React.useCallback(async (field2, looker) => {
      for (let look = 0; look < LOOKS && !await latest.current(field2, looker); look += 1)
        await pause(LOOK_AGAIN);
    }, []);
  }
  var Refusal = class extends Error {
    constructor(sentence2, said) {
      super(sentence2);
      this.said = said;
    }
    said;
  };
  function useCall() {
    const executors = {
      reprompt_open: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_open`),
      reprompt_click: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_click`),
      reprompt_accept: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_accept`),
      reprompt_undo: app.__foo__.useOperatorExecutor(`${PLUGIN}/reprompt_undo`)
    };
    const latest = React.useRef(executors);
    latest.current = executors;
    return React.useCallback(
      (name, params) => new Promise((resolve, reject) => {
        latest.current[name].execute(params, {
          skipOutput: true,
          skipErrorNotification: true,
          callback: ({ result, error, errorMessage }) => {
            const said = result ?? {};
            if (error) reject(new Error(errorMessage || "The server does not answer."));
            else if (typeof said["error"] === "string" && said["state"] === void 0)
              reject(new Refusal(said["error"], said));
            else resolve(said);
          }
        });
      }),
      []
    );
  }

  // src/geometry.ts
  function pictureOnScreen(state, canvas) {
    if (!state.windowBBox || !state.canvasBBox) return null;
    const [, , width, height] = state.windowBBox;
    const [left, top, wide, high] = state.canvasBBox;
    if (!(width > 0 && height > 0 && wide > 0 && high > 0)) return null;
    const across = canvas.width / width;
    const down = canvas.height / height;
    return {
      left: canvas.left + across * (state.pan[0] + state.scale * left),
      top: canvas.top + down * (state.pan[1] + state.scale * top),
      width: across * state.scale * wide,
      height: down * state.scale * high
    };
  }
  function isSameShape(shown, [height, width]) {
    const rounding = Math.max(width, height);
    return Math.abs(shown[0] * height - shown[1] * width) <= rounding;
  }
  function painted({ left, top, width, height }, ratio) {
    const snap = (value) => Math.round(value * ratio) / ratio;
    return {
      left: snap(left),
      top: snap(top),
      width: snap(left + width) - snap(left),
      height: snap(top + height) - snap(top)
    };
  }
  function toPicture(picture, [x, y]) {
    return [(x - picture.left) / picture.width, (y - picture.top) / picture.height];
  }
  function toScreen(picture, [x, y]) {
    return [picture.left + x * picture.width, picture.top + y * picture.height];
  }
  function isInside([x, y]) {
    return x >= 0 && x <= 1 && y >= 0 && y <= 1;
  }
  function boxBetween(first, second) {
    const [x0, x1] = span(first[0], second[0]);
    const [y0, y1] = span(first[1], second[1]);
    return x1 > x0 && y1 > y0 ? [x0, y0, x1 - x0, y1 - y0] : null;
  }
  function span(first, second) {
    const inside = (value) => Math.min(Math.max(value, 0), 1);
    return [inside(Math.min(first, second)), inside(Math.max(first, second))];
  }

  // src/overlay.ts
  var DRAG = 4;
  var COLOURS = ["#ff3b30", "#34c759"];
  var Overlay = class {
    constructor(looker, say) {
      this.looker = looker;
      this.say = say;
      this.element.dataset["cy"] = "sam-reprompt-overlay";
      Object.assign(this.element.style, {
        position: "absolute",
        inset: "0",
        width: "100%",
        height: "100%",
        cursor: "crosshair",
        touchAction: "none"
      });
      this.listen();
      this.tick();
    }
    looker;
    say;
    element = document.createElement("canvas");
    shown = { prompts: [], mask: null };
    /** While held, a drag moves the picture. */
    moving = false;
    press = null;
    panning = false;
    frame = 0;
    drawn = "";
    listening = new AbortController();
    close() {
      cancelAnimationFrame(this.frame);
      this.listening.abort();
      this.element.remove();
    }
    picture() {
      return pictureOnScreen(this.looker.state, onScreen(this.looker.canvas));
    }
    listen() {
      const on = (name, handle) => this.element.addEventListener(name, handle, {
        signal: this.listening.signal,
        passive: false
      });
      on("pointerdown", (event) => this.pressed(event));
      on("pointermove", (event) => this.moved(event));
      on("pointerup", (event) => this.released(event));
      on("pointercancel", () => this.dropped());
      on("wheel", (event) => {
        this.looker.canvas.dispatchEvent(new WheelEvent("wheel", event));
        swallow(event);
      });
      for (const name of ["mousedown", "mouseup", "click", "dblclick", "contextmenu"])
        on(name, swallow);
    }
    pressed(event) {
      event.stopPropagation();
      this.element.setPointerCapture(event.pointerId);
      if (event.button === 1 || event.button === 0 && this.moving) {
        this.panning = true;
        this.passOn("mousedown", event);
      } else if (event.button === 0 || event.button === 2) {
        const place = [event.clientX, event.clientY];
        const background = event.button === 2 || event.altKey;
        this.press = { button: event.button, start: place, now: place, background, chooses: event.shiftKey };
      }
      event.preventDefault();
    }
    moved(event) {
      if (this.panning) this.passOn("mousemove", event);
      else if (this.press) this.press.now = [event.clientX, event.clientY];
    }
    released(event) {
      event.stopPropagation();
      if (this.panning) {
        this.panning = false;
        this.passOn("mouseup", event);
        return;
      }
      const { press } = this;
      const picture = this.picture();
      this.press = null;
      if (!press || !picture || event.button !== press.button) return;
      press.now = [event.clientX, event.clientY];
      if (press.chooses) {
        this.choose(event);
        return;
      }
      if (isDrag(press)) {
        const box = boxBetween(toPicture(picture, press.start), toPicture(picture, press.now));
        if (box) this.say({ kind: "box", box });
        return;
      }
      const place = toPicture(picture, press.start);
      if (isInside(place))
        this.say({ kind: "point", x: place[0], y: place[1], sign: press.background ? 0 : 1 });
    }
    /** The App's own canvas selects the label under the pointer, once it has seen that there. */
    choose(event) {
      this.passOn("mousemove", event);
      requestAnimationFrame(() => {
        for (const name of ["mousedown", "mouseup", "click", "mouseleave"]) this.passOn(name, event);
      });
    }
    dropped() {
      this.press = null;
      this.panning = false;
    }
    /** The App's own canvas moves the picture with its left button. */
    passOn(name, event) {
      const { clientX, clientY } = event;
      this.looker.canvas.dispatchEvent(
        new MouseEvent(name, { bubbles: true, cancelable: true, button: 0, clientX, clientY })
      );
    }
    tick = () => {
      this.frame = requestAnimationFrame(this.tick);
      const { canvas } = this.looker;
      if (this.element.previousSibling !== canvas) canvas.after(this.element);
      const picture = this.picture();
      if (!picture) return;
      const around = onScreen(this.element);
      const ratio = window.devicePixelRatio;
      const state = JSON.stringify([picture, around, ratio, this.shown.prompts, this.press]);
      const same = state === this.drawn && this.shown.mask === this.drawnMask;
      if (same) return;
      this.drawn = state;
      this.drawnMask = this.shown.mask;
      this.element.width = Math.round(around.width * ratio);
      this.element.height = Math.round(around.height * ratio);
      const pen = this.element.getContext("2d");
      if (!pen) return;
      pen.scale(ratio, ratio);
      pen.translate(-around.left, -around.top);
      this.draw(pen, picture);
    };
    drawnMask = null;
    draw(pen, picture) {
      const { mask, prompts } = this.shown;
      if (mask) {
        const [x, y, width, height] = mask.box;
        const [left, top] = toScreen(picture, [x, y]);
        pen.imageSmoothingEnabled = false;
        pen.drawImage(mask.image, left, top, width * picture.width, height * picture.height);
      }
      for (const prompt of prompts) {
        if (prompt.kind === "box") {
          const [x, y, width, height] = prompt.box;
          drawBox(pen, toScreen(picture, [x, y]), toScreen(picture, [x + width, y + height]));
        } else {
          drawPoint(pen, toScreen(picture, [prompt.x, prompt.y]), COLOURS[prompt.sign]);
        }
      }
      if (this.press && isDrag(this.press)) drawBox(pen, this.press.start, this.press.now);
    }
  };
  function onScreen(canvas) {
    return painted(canvas.getBoundingClientRect(), window.devicePixelRatio);
  }
  function isDrag({ start, now, background, chooses }) {
    return !background && !chooses && Math.hypot(now[0] - start[0], now[1] - start[1]) > DRAG;
  }
  function swallow(event) {
    event.stopPropagation();
    event.preventDefault();
  }
  function drawPoint(pen, [x, y], colour) {
    pen.beginPath();
    pen.arc(x, y, 5, 0, 2 * Math.PI);
    pen.fillStyle = colour;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = "white";
    pen.stroke();
  }
  function drawBox(pen, first, second) {
    pen.lineWidth = 2;
    pen.strokeStyle = COLOURS[1];
    pen.strokeRect(first[0], first[1], second[0] - first[0], second[1] - first[1]);
  }

  // src/styles.ts
  var row = {
    display: "flex",
    flexWrap: "wrap",
    flexShrink: 0,
    gap: 8,
    alignItems: "center"
  };
  var field = {
    flex: "1 1 8em",
    minWidth: 0,
    padding: "4px 8px",
    color: "inherit",
    background: "var(--fo-palette-background-level1)",
    border: "1px solid var(--fo-palette-primary-plainBorder)",
    borderRadius: 4
  };
  var text = { margin: 0, lineHeight: 1.4, flexShrink: 0 };
  var button = { ...field, flex: "0 0 auto", cursor: "pointer" };
  var styles = {
    panel: {
      display: "flex",
      flexDirection: "column",
      gap: 12,
      padding: 16,
      boxSizing: "border-box",
      height: "100%",
      overflow: "auto",
      color: "var(--fo-palette-text-primary)"
    },
    row,
    field,
    button,
    unusable: { ...button, cursor: "default", opacity: 0.4 },
    status: text,
    error: { ...text, color: "var(--fo-palette-danger-plainColor)" },
    keys: {
      ...text,
      display: "grid",
      gridTemplateColumns: "max-content 1fr",
      gap: "4px 16px",
      color: "var(--fo-palette-text-secondary)"
    },
    meaning: { margin: 0 },
    help: { ...text, color: "var(--fo-palette-text-secondary)" }
  };

  // src/button.tsx
  function Button({ name, usable, act, children }) {
    return /* @__PURE__ */ React.createElement(
      "button",
      {
        style: usable ? styles.button : styles.unusable,
        "data-cy": `sam-reprompt-${name}`,
        disabled: !usable,
        onClick: (event) => {
          event.currentTarget.blur();
          act();
        }
      },
      children
    );
  }

  // src/session.ts
  var POLL = 250;
  var MOST_DRAFTS = 50;
  var drafts = /* @__PURE__ */ new Map();
  var Session = class {
    constructor(call, sampleId, model, changed, written) {
      this.call = call;
      this.sampleId = sampleId;
      this.model = model;
      this.changed = changed;
      this.written = written;
    }
    call;
    sampleId;
    model;
    changed;
    written;
    prompts = [];
    /** Which of several answers was chosen; null for what the model takes. */
    chosen = null;
    /** Null where a mask is asked for anew. */
    start = null;
    answer = null;
    /** [height, width] as the server reads the picture; null until it did. */
    size = null;
    preparation = "preparing";
    choices = { fields: [], labels: [], classes: [], undo: 0 };
    /** The sentence of the last thing that went wrong. */
    error = "";
    /** Milliseconds that the last answer took. */
    took = 0;
    /** Whether a mask is being written or taken back. */
    writing = false;
    wanted = 0;
    given = 0;
    asking = false;
    accepting = false;
    /** Whether opening the sample failed last; the next click tries it again. */
    unopened = false;
    closed = false;
    /** A sentence that stays to be seen until something else is said. */
    notice = "";
    /** Whether what is shown is the answer to all that was said. */
    get settled() {
      return this.wanted === this.given;
    }
    async open() {
      const draft = drafts.get(this.sampleId);
      drafts.delete(this.sampleId);
      if (draft) {
        Object.assign(this, draft);
        void this.ask();
      }
      await this.prepare();
    }
    async prepare() {
      try {
        for (; ; ) {
          const said = await this.call("reprompt_open", this.named({}));
          if (this.closed) return;
          this.choices = said;
          this.size = said["size"] ?? this.size;
          const { start } = this;
          if (start && !this.choices.labels.some(({ id }) => id === start.label_id)) this.begin(null);
          this.preparation = said["state"];
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
    close() {
      this.closed = true;
      if (!this.accepting) this.keepDraft();
    }
    keepDraft() {
      if (!this.prompts.length) return;
      drafts.set(this.sampleId, {
        prompts: this.prompts,
        chosen: this.chosen,
        start: this.start
      });
      const [oldest] = drafts.keys();
      if (drafts.size > MOST_DRAFTS && oldest) drafts.delete(oldest);
    }
    /** Whether there is something to write: an answer to all that was said, which is a mask. */
    get acceptable() {
      return this.settled && !this.writing && this.prompts.length > 0 && !!this.answer?.mask;
    }
    /** Correct a label's mask from now on, or null: ask for a mask anew. */
    begin(start) {
      if (this.start?.label_id === start?.label_id) return;
      this.start = start;
      this.chosen = null;
      void this.ask();
    }
    say(prompt) {
      if (prompt.kind === "box") this.prompts = this.prompts.filter(({ kind }) => kind !== "box");
      this.prompts = [...this.prompts, prompt];
      void this.ask();
    }
    /** Take the last click or box back. */
    unsay() {
      if (!this.prompts.length) return;
      this.prompts = this.prompts.slice(0, -1);
      if (!this.prompts.length) this.chosen = null;
      void this.ask();
    }
    /** Forget everything that was said; nothing was written. */
    clear() {
      this.prompts = [];
      this.chosen = null;
      this.error = "";
      void this.ask();
    }
    /** The next of several answers to a single click. */
    next() {
      if (!this.answer || this.answer.answers < 2 || !this.settled) return;
      this.chosen = (this.answer.answer + 1) % this.answer.answers;
      void this.ask();
    }
    /** Write the mask; what was said is forgotten only when it is written. */
    async accept(target) {
      if (this.writing) return;
      const start = this.start && { ...this.start, mark: this.answer?.mark ?? "" };
      this.accepting = true;
      const written = await this.write("reprompt_accept", { ...this.said(), start, ...target });
      this.accepting = false;
      if (written) this.clear();
      else if (this.closed) this.keepDraft();
    }
    /** Take back what was accepted last. */
    async takeBack() {
      if (await this.write("reprompt_undo", {}) && this.start) void this.ask();
    }
    async write(name, params) {
      if (this.writing) return false;
      this.writing = true;
      this.changed();
      try {
        const said = await this.call(name, this.named(params));
        this.written(said["sample"], String(said["new_field"] ?? ""));
        await this.prepare();
        return true;
      } catch (error) {
        this.fail(error);
        const changed = error instanceof Refusal ? error.said["sample"] : null;
        if (changed) this.written(changed, "");
        await this.prepare();
        if (changed) void this.ask(sentence(error));
        return false;
      } finally {
        this.writing = false;
        this.changed();
      }
    }
    async ask(notice = "") {
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
    async askOnce(number) {
      const start = performance.now();
      let answer = null;
      let error = "";
      if (this.prompts.length || this.start) {
        try {
          const said = await this.call("reprompt_click", this.named(this.said()));
          this.hear(said);
          if (said["state"] === "preparing") return pause(POLL);
          if (said["state"] === "failed") error = String(said["error"]);
          else answer = said;
        } catch (reason) {
          error = sentence(reason);
        }
      }
      if (this.closed || number !== this.wanted) return;
      this.given = number;
      this.answer = answer;
      this.error = error || this.notice;
      this.took = performance.now() - start;
      this.changed();
    }
    /** How far the picture is, as any answer says. */
    hear(said) {
      this.size = said["size"] ?? this.size;
      this.preparation = said["state"];
      if (!this.unopened || this.preparation !== "ready") return;
      this.unopened = false;
      void this.prepare();
    }
    said() {
      const points = this.prompts.flatMap(
        (one) => one.kind === "point" ? [[one.x, one.y, one.sign]] : []
      );
      const box = this.prompts.find((one) => one.kind === "box")?.box ?? null;
      const start = this.start && { ...this.start, mark: "" };
      return { points, box, start, answer: this.chosen };
    }
    named(params) {
      return { ...params, sample_id: this.sampleId, model: this.model };
    }
    fail(error) {
      this.error = sentence(error);
      this.changed();
    }
  };
  function sentence(error) {
    return error instanceof Error ? error.message : String(error);
  }

  // src/target.tsx
  var NEW = "";
  var FIELD = "sam_masks";
  function useTarget(session, selected) {
    const [chosen, choose] = React.useState(NEW);
    const [field2, setField] = React.useState("");
    const [label, setLabel] = React.useState("");
    const labels = session?.choices.labels ?? [];
    const find = (id) => labels.find((one) => one.id === id);
    const take = (id) => {
      choose(id);
      if (!session || session.start?.label_id === id) return;
      const one = find(id);
      if (session.start) session.clear();
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
    const value = existing ? { field: existing.field, label_id: existing.id, label: existing.label, mark: existing.mark } : { field: field2 || (session?.choices.fields[0] ?? FIELD), label_id: NEW, label, mark: "" };
    const form = session ? /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("label", { style: styles.row }, "Object", /* @__PURE__ */ React.createElement(
      "select",
      {
        style: styles.field,
        "data-cy": "sam-reprompt-target",
        value: existing ? chosen : NEW,
        onChange: (event) => {
          event.currentTarget.blur();
          take(event.target.value);
        }
      },
      /* @__PURE__ */ React.createElement("option", { value: NEW }, "a new one"),
      labels.map((one, number) => /* @__PURE__ */ React.createElement("option", { key: one.id, value: one.id }, nameOf(one, numberOf(labels, number))))
    )), existing ? /* @__PURE__ */ React.createElement(Existing, { session, label: existing }) : /* @__PURE__ */ React.createElement("div", { style: styles.row }, "Class", /* @__PURE__ */ React.createElement(
      "input",
      {
        style: styles.field,
        "data-cy": "sam-reprompt-class",
        placeholder: "type or choose",
        list: "sam-reprompt-classes",
        value: label,
        onChange: (event) => setLabel(event.target.value)
      }
    ), /* @__PURE__ */ React.createElement("datalist", { id: "sam-reprompt-classes" }, session.choices.classes.map((name) => /* @__PURE__ */ React.createElement("option", { key: name, value: name }))), "in field", /* @__PURE__ */ React.createElement(
      "input",
      {
        style: styles.field,
        "data-cy": "sam-reprompt-field",
        list: "sam-reprompt-fields",
        value: field2,
        placeholder: value.field,
        onChange: (event) => setField(event.target.value)
      }
    ), /* @__PURE__ */ React.createElement("datalist", { id: "sam-reprompt-fields" }, session.choices.fields.map((name) => /* @__PURE__ */ React.createElement("option", { key: name, value: name }))))) : null;
    return { value, form, meaning: meaningOf(value, existing) };
  }
  function Existing({ session, label }) {
    const corrects = session.start !== null;
    const way = (name, text2, checked, act) => /* @__PURE__ */ React.createElement("label", { style: styles.row }, /* @__PURE__ */ React.createElement(
      "input",
      {
        type: "radio",
        "data-cy": `sam-reprompt-${name}`,
        checked,
        onChange: (event) => {
          event.currentTarget.blur();
          act();
        }
      }
    ), text2);
    return /* @__PURE__ */ React.createElement(React.Fragment, null, label.has_mask ? /* @__PURE__ */ React.createElement("div", { style: styles.row }, way("correct", "Correct its mask", corrects, () => session.begin(startOf(label))), way("anew", "Make it anew", !corrects, () => session.begin(null))) : null, corrects ? null : /* @__PURE__ */ React.createElement("div", { style: styles.row }, /* @__PURE__ */ React.createElement(Button, { name: "use-box", usable: true, act: () => session.say({ kind: "box", box: label.box }) }, "Ask with its box")));
  }
  function startOf({ field: field2, id }) {
    return { field: field2, label_id: id };
  }
  function numberOf(labels, place) {
    const { field: field2, label } = labels[place];
    const before = labels.slice(0, place + 1);
    return before.filter((one) => one.field === field2 && one.label === label).length;
  }
  function nameOf({ field: field2, label, has_mask }, number) {
    return `${label || "(no class)"} ${number} in ${field2}${has_mask ? "" : ", a box without a mask"}`;
  }
  function meaningOf(value, existing) {
    if (!existing)
      return `Accept adds a label to ${value.field}` + (value.label ? ` with the class ${value.label}.` : ". Type its class first.");
    const name = existing.label || "this label";
    return `Accept gives ${name} in ${existing.field} this mask. Its class, tags and other values stay, and it can be taken back.`;
  }

  // src/panel.tsx
  var MODEL_KEY = "sam-plugins-reprompt-model";
  var KEYS = [
    ["Click", "this is part of the object (green dot)"],
    ["Alt+click, right click", "this is not part of it (red dot)"],
    ["Drag", "a box around the object"],
    ["Shift+click", "choose the label that is there"],
    ["Wheel", "zoom"],
    ["Space or middle button, drag", "move the picture"],
    ["N", "the next of three answers"],
    ["Backspace", "take the last click or box back"],
    ["Enter", "accept"],
    ["Escape", "forget the clicks; again: stop"]
  ];
  function Panel() {
    useBeside();
    const call = useCall();
    const showField = useShowField();
    const refresh = useLatest(app.__fos__.useRefreshSample());
    const { looker, sampleId } = useShownSample();
    const shownOn = useLatest(looker);
    const selected = app.recoil.useRecoilValue(app.__fos__.selectedLabels);
    const [on, setOn] = React.useState(true);
    const [model, setModel] = React.useState(() => localStorage.getItem(MODEL_KEY) ?? "nano");
    const [, redraw] = React.useReducer((count) => count + 1, 0);
    const [session, setSession] = React.useState(null);
    const overlay = React.useRef(null);
    React.useEffect(() => {
      if (!on || !sampleId) return;
      const opened = new Session(call, sampleId, model, redraw, (sample, field2) => {
        if (sample._id !== sampleId) return;
        refresh.current(sample);
        if (field2) void showField(field2, shownOn.current).then(() => refresh.current(sample));
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
    return /* @__PURE__ */ React.createElement("div", { style: styles.panel, "data-cy": "sam-reprompt" }, /* @__PURE__ */ React.createElement("label", { style: styles.row }, /* @__PURE__ */ React.createElement("input", { type: "checkbox", checked: on, onChange: (event) => setOn(event.target.checked) }), /* @__PURE__ */ React.createElement("b", null, "Click on the picture")), session ? /* @__PURE__ */ React.createElement(React.Fragment, null, target.form, /* @__PURE__ */ React.createElement(Status, { session, problem }), /* @__PURE__ */ React.createElement(Buttons, { session, acceptable, accept }), /* @__PURE__ */ React.createElement("p", { style: styles.help, "data-cy": "sam-reprompt-meaning" }, target.meaning), /* @__PURE__ */ React.createElement("label", { style: styles.row }, "Model", /* @__PURE__ */ React.createElement(
      "input",
      {
        style: styles.field,
        defaultValue: model,
        onBlur: (event) => {
          localStorage.setItem(MODEL_KEY, event.target.value);
          setModel(event.target.value || "nano");
        }
      }
    )), /* @__PURE__ */ React.createElement("dl", { style: styles.keys }, KEYS.map(([key, meaning]) => /* @__PURE__ */ React.createElement(React.Fragment, { key }, /* @__PURE__ */ React.createElement("dt", null, key), /* @__PURE__ */ React.createElement("dd", { style: styles.meaning }, meaning))))) : null);
  }
  function otherShape(session, looker) {
    const shown = looker?.state.dimensions;
    if (!shown || !session.size || isSameShape(shown, session.size)) return "";
    const [height, width] = session.size;
    return `The App shows ${shown[0]} x ${shown[1]} pixels here, and the sample's picture has ${width} x ${height}: clicks would land elsewhere. Where the App shows another media field, choose filepath in its settings; else save the picture turned as it should be seen.`;
  }
  function Status({ session, problem }) {
    const error = problem || session.error;
    return /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("p", { style: styles.status, "data-cy": "sam-reprompt-status", "data-state": session.preparation }, stateOf(session)), error ? /* @__PURE__ */ React.createElement("p", { style: styles.error, "data-cy": "sam-reprompt-error", role: "alert" }, error) : null);
  }
  function stateOf({ answer, preparation, prompts, settled, start }) {
    if (preparation === "preparing") return "Preparing the picture; you can click already.";
    if (preparation === "failed") return "Nothing can be asked yet; below is why.";
    if (!settled) return "Asking.";
    if (start && !prompts.length)
      return "This is its mask. Click on what is missing; Alt+click on what is too much.";
    if (!answer) return "Ready: click on an object, or drag a box around it.";
    if (!answer.mask)
      return start ? "Nothing of the mask is left: take the last click back, or delete the label in the App." : "Nothing found there: click elsewhere, or draw a box.";
    const sure = `Predicted IoU ${answer.score.toFixed(2)}`;
    if (start && !answer.added && !answer.removed)
      return "That changes nothing: click further inside what is missing or too much.";
    if (start)
      return `${answer.added} pixels more, ${answer.removed} less: ${answer.area} pixels. ${sure}.`;
    const which = answer.answers > 1 ? `Answer ${answer.answer + 1} of ${answer.answers}. ` : "";
    return `${which}${sure}, ${answer.area} pixels.`;
  }
  function Buttons({ session, acceptable, accept }) {
    const { answer, prompts, choices, settled, writing } = session;
    const button2 = (name, text2, usable, act) => /* @__PURE__ */ React.createElement(Button, { name, usable: usable && !writing, act }, text2);
    return /* @__PURE__ */ React.createElement("div", { style: styles.row }, button2("accept", "Accept", acceptable, accept), button2("next", "Next answer", settled && (answer?.answers ?? 1) > 1, () => session.next()), button2("unsay", "Undo click", prompts.length > 0, () => session.unsay()), button2("cancel", "Forget clicks", prompts.length > 0, () => session.clear()), button2("undo", "Take back accepted", choices.undo > 0, () => void session.takeBack()));
  }
  function useShown(session, looker, overlay) {
    const answer = session?.answer ?? null;
    const prompts = session?.prompts;
    React.useEffect(() => {
      if (overlay.current) overlay.current.shown = { ...overlay.current.shown, prompts: prompts ?? [] };
    }, [prompts, session, looker]);
    React.useEffect(() => {
      let current = true;
      const show = (mask) => {
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
  function useKeys(session, overlay, accept, leave) {
    const latest = useLatest({ accept, leave });
    React.useEffect(() => {
      if (!session) return;
      const listening = new AbortController();
      const options = { capture: true, signal: listening.signal };
      const moving = (value) => {
        if (overlay.current) overlay.current.moving = value;
      };
      const act = {
        Enter: () => latest.current.accept(),
        n: () => session.next(),
        Backspace: () => session.unsay(),
        "ctrl z": () => session.unsay(),
        Escape: () => session.prompts.length ? session.clear() : latest.current.leave(),
        " ": () => moving(true)
      };
      const named = (event) => event.ctrlKey || event.metaKey ? `ctrl ${event.key}` : event.key;
      const isOurs = (event) => named(event) in act && !isTyping(event);
      const swallow2 = (event) => {
        event.stopImmediatePropagation();
        event.preventDefault();
      };
      window.addEventListener(
        "keydown",
        (event) => {
          if (!isOurs(event)) return;
          swallow2(event);
          act[named(event)]?.();
        },
        options
      );
      window.addEventListener(
        "keyup",
        (event) => {
          if (event.key === " ") moving(false);
          if (isOurs(event)) swallow2(event);
        },
        options
      );
      return () => listening.abort();
    }, [session]);
  }
  function isTyping(event) {
    const { target } = event;
    if (!(target instanceof HTMLElement)) return false;
    const field2 = target instanceof HTMLInputElement ? target.type !== "checkbox" : target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
    if (field2 && event.key === "Escape") {
      target.blur();
      event.stopImmediatePropagation();
    }
    return field2;
  }
  function useLatest(value) {
    const latest = React.useRef(value);
    latest.current = value;
    return latest;
  }

  // src/index.tsx
  app.__fop__.registerComponent({
    name: PANEL,
    label: "Re-prompt",
    component: Panel,
    type: app.__fop__.PluginComponentType.Panel,
    activator: () => true,
    panelOptions: { surfaces: "modal", allowDuplicates: false }
  });
})();

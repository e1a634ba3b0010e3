// A transparent canvas over the App's picture: takes clicks and boxes, shows prompts and the mask.
import type { Looker } from "./app";
import {
  boxBetween,
  isInside,
  painted,
  pictureOnScreen,
  toPicture,
  toScreen,
  type Place,
  type Rect,
  type RelativeBox,
} from "./geometry";
import type { Prompt } from "./session";

const DRAG = 4; // CSS pixels; less is a click
const COLOURS = ["#ff3b30", "#34c759"] as const; // background, foreground

export interface Shown {
  prompts: readonly Prompt[];
  mask: { image: CanvasImageSource; box: RelativeBox } | null;
}

interface Press {
  button: number;
  start: Place;
  now: Place;
  background: boolean;
  /** Whether it chooses the label that is there. */
  chooses: boolean;
}

export class Overlay {
  readonly element = document.createElement("canvas");
  shown: Shown = { prompts: [], mask: null };
  /** While held, a drag moves the picture. */
  moving = false;
  private press: Press | null = null;
  private panning = false;
  private frame = 0;
  private drawn = "";
  private readonly listening = new AbortController();

  constructor(
    private readonly looker: Looker,
    private readonly say: (prompt: Prompt) => void,
  ) {
    this.element.dataset["cy"] = "sam-reprompt-overlay";
    Object.assign(this.element.style, {
      position: "absolute",
      inset: "0",
      width: "100%",
      height: "100%",
      cursor: "crosshair",
      touchAction: "none",
    });
    this.listen();
    this.tick();
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.listening.abort();
    this.element.remove();
  }

  private picture(): Rect | null {
    return pictureOnScreen(this.looker.state, onScreen(this.looker.canvas));
  }

  private listen(): void {
    const on = <Name extends keyof HTMLElementEventMap>(
      name: Name,
      handle: (event: HTMLElementEventMap[Name]) => void,
    ) =>
      this.element.addEventListener(name, handle, {
        signal: this.listening.signal,
        passive: false,
      });
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.released(event));
    on("pointercancel", () => this.dropped());
    on("wheel", (event) => {
      this.looker.canvas.dispatchEvent(new WheelEvent("wheel", event));
      swallow(event);
    });
    // The App would select labels, close the modal or reset the zoom.
    for (const name of ["mousedown", "mouseup", "click", "dblclick", "contextmenu"] as const)
      on(name, swallow);
  }

  private pressed(event: PointerEvent): void {
    event.stopPropagation();
    this.element.setPointerCapture(event.pointerId);
    if (event.button === 1 || (event.button === 0 && this.moving)) {
      this.panning = true;
      this.passOn("mousedown", event);
    } else if (event.button === 0 || event.button === 2) {
      const place: Place = [event.clientX, event.clientY];
      const background = event.button === 2 || event.altKey;
      this.press = { button: event.button, start: place, now: place, background, chooses: event.shiftKey };
    }
    event.preventDefault();
  }

  private moved(event: PointerEvent): void {
    if (this.panning) this.passOn("mousemove", event);
    else if (this.press) this.press.now = [event.clientX, event.clientY];
  }

  private released(event: PointerEvent): void {
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
  private choose(event: PointerEvent): void {
    this.passOn("mousemove", event);
    requestAnimationFrame(() => {
      for (const name of ["mousedown", "mouseup", "click", "mouseleave"]) this.passOn(name, event);
    });
  }

  private dropped(): void {
    this.press = null;
    this.panning = false;
  }

  /** The App's own canvas moves the picture with its left button. */
  private passOn(name: string, event: PointerEvent): void {
    const { clientX, clientY } = event;
    this.looker.canvas.dispatchEvent(
      new MouseEvent(name, { bubbles: true, cancelable: true, button: 0, clientX, clientY }),
    );
  }

  private tick = (): void => {
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
  private drawnMask: Shown["mask"] = null;

  private draw(pen: CanvasRenderingContext2D, picture: Rect): void {
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
}

function onScreen(canvas: HTMLCanvasElement): Rect {
  return painted(canvas.getBoundingClientRect(), window.devicePixelRatio);
}

function isDrag({ start, now, background, chooses }: Press): boolean {
  return !background && !chooses && Math.hypot(now[0] - start[0], now[1] - start[1]) > DRAG;
}

function swallow(event: Event): void {
  event.stopPropagation();
  event.preventDefault();
}

function drawPoint(pen: CanvasRenderingContext2D, [x, y]: Place, colour: string): void {
  pen.beginPath();
  pen.arc(x, y, 5, 0, 2 * Math.PI);
  pen.fillStyle = colour;
  pen.fill();
  pen.lineWidth = 2;
  pen.strokeStyle = "white";
  pen.stroke();
}

function drawBox(pen: CanvasRenderingContext2D, first: Place, second: Place): void {
  pen.lineWidth = 2;
  pen.strokeStyle = COLOURS[1];
  pen.strokeRect(first[0], first[1], second[0] - first[0], second[1] - first[1]);
}

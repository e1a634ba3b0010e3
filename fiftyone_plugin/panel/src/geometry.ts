// Where the picture is on the screen, and places of the one in the other. No DOM, no App.

/** What the App's looker says of itself; lengths in CSS pixels, before zoom where `scale` follows. */
export interface LookerState {
  /** x, y, width, height of the looker in the window. */
  windowBBox: readonly [number, number, number, number] | null;
  /** x, y, width, height of the picture in the looker, before zoom and pan. */
  canvasBBox: readonly [number, number, number, number] | null;
  pan: readonly [number, number];
  scale: number;
  /** Width and height of what the browser shows, once it is loaded. */
  dimensions?: readonly [number, number] | null;
}

export interface Rect {
  left: number;
  top: number;
  width: number;
  height: number;
}

export type Place = readonly [x: number, y: number];
/** x, y, width, height from 0 to 1 of the picture. */
export type RelativeBox = readonly [x: number, y: number, width: number, height: number];

/** Where the whole picture would be in the window, the parts outside of it included. */
export function pictureOnScreen(state: LookerState, canvas: Rect): Rect | null {
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
    height: down * state.scale * high,
  };
}

/**
 * Whether the browser shows a picture of the shape that the server reads, [height, width]; it may be
 * a smaller copy. Where the one turns a picture and the other does not, clicks would land elsewhere.
 */
export function isSameShape(
  shown: readonly [number, number],
  [height, width]: readonly [number, number],
): boolean {
  const rounding = Math.max(width, height); // a side of the copy may be a pixel off
  return Math.abs(shown[0] * height - shown[1] * width) <= rounding;
}

/** Where a browser paints a canvas that is laid out there: at whole pixels of the screen. */
export function painted({ left, top, width, height }: Rect, ratio: number): Rect {
  const snap = (value: number) => Math.round(value * ratio) / ratio;
  return {
    left: snap(left),
    top: snap(top),
    width: snap(left + width) - snap(left),
    height: snap(top + height) - snap(top),
  };
}

/** A place in the window as one of the picture, 0 to 1; beyond that, it is outside. */
export function toPicture(picture: Rect, [x, y]: Place): Place {
  return [(x - picture.left) / picture.width, (y - picture.top) / picture.height];
}

/** The inverse of `toPicture`. */
export function toScreen(picture: Rect, [x, y]: Place): Place {
  return [picture.left + x * picture.width, picture.top + y * picture.height];
}

export function isInside([x, y]: Place): boolean {
  return x >= 0 && x <= 1 && y >= 0 && y <= 1;
}

/** The box between two places, cut to the picture; null if nothing of it is inside. */
export function boxBetween(first: Place, second: Place): RelativeBox | null {
  const [x0, x1] = span(first[0], second[0]);
  const [y0, y1] = span(first[1], second[1]);
  return x1 > x0 && y1 > y0 ? [x0, y0, x1 - x0, y1 - y0] : null;
}

function span(first: number, second: number): [number, number] {
  const inside = (value: number) => Math.min(Math.max(value, 0), 1);
  return [inside(Math.min(first, second)), inside(Math.max(first, second))];
}

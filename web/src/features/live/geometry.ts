export interface Size {
  width: number;
  height: number;
}

export interface Rect extends Size {
  x: number;
  y: number;
}

/** Where a face is, for the one who holds or faces the camera. */
export type Side = "left" | "ahead" | "right";

const MIDDLE_THIRD = [0.36, 0.64] as const;

/** Pixels as parts of the frame, 0–1, so that frames of any size compare. */
export function asParts(box: Rect, frame: Size): Rect {
  return {
    x: box.x / frame.width,
    y: box.y / frame.height,
    width: box.width / frame.width,
    height: box.height / frame.height,
  };
}

/**
 * Where a part of the frame is on the stage, in pixels of the stage.
 *
 * The picture covers the stage (`object-fit: cover`), and is mirrored where the camera looks at who looks at it.
 */
export function onStage(part: Rect, frame: Size, stage: Size, mirrored: boolean): Rect {
  const scale = Math.max(stage.width / frame.width, stage.height / frame.height);
  const width = frame.width * scale;
  const height = frame.height * scale;
  const x = mirrored ? 1 - part.x - part.width : part.x;
  return {
    x: x * width + (stage.width - width) / 2,
    y: part.y * height + (stage.height - height) / 2,
    width: part.width * width,
    height: part.height * height,
  };
}

/**
 * On which side of the person who looks. A camera that faces them sees their left on its right, as a mirror turned
 * round: mirrored, or from behind the camera, the side of the picture is the side of the person.
 */
export function sideOf(part: Rect, mirrored: boolean): Side {
  const middle = part.x + part.width / 2;
  const shown = mirrored ? 1 - middle : middle;
  if (shown < MIDDLE_THIRD[0]) return "left";
  return shown > MIDDLE_THIRD[1] ? "right" : "ahead";
}

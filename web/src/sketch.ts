/** The square that a digit is written in. Its image is made from the strokes, not read from the canvas. */

import { canvas } from "./dom";
import { SIZE } from "./pictures";

const PEN = 1.15; // radius of strokes in pixels of the image
const BOX = 20; // largest side of a digit in the image, as in MNIST (LeCun et al. 1998)
const PAUSE = 700; // milliseconds without a stroke after which a digit is done

type Stroke = [number, number][]; // points in [0, 1]

/** Let a digit be written; `onDone` gets its image (28, 28) in [0, 1], white on black. Returns what clears it. */
export function offerSketch(onBegin: () => void, onDone: (image: Float32Array) => void): () => void {
  const square = canvas("sketch");
  let strokes: Stroke[] = [];
  let timer = 0;
  const point = (event: PointerEvent): [number, number] => {
    const box = square.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const show = (): void => {
    const context = square.getContext("2d");
    if (!context) return;
    const size = (square.width = square.height = 560);
    context.strokeStyle = getComputedStyle(square).color;
    context.lineWidth = size / 13;
    context.lineCap = context.lineJoin = "round";
    for (const [first, ...others] of strokes) {
      if (!first) continue;
      context.beginPath();
      context.moveTo(first[0] * size, first[1] * size);
      for (const [x, y] of others.length ? others : [first]) context.lineTo(x * size, y * size);
      context.stroke();
    }
  };
  square.onpointerdown = (event): void => {
    square.setPointerCapture(event.pointerId);
    clearTimeout(timer);
    onBegin();
    strokes.push([point(event)]);
    show();
  };
  square.onpointermove = (event): void => {
    if (!event.buttons || !strokes.length) return;
    strokes.at(-1)?.push(point(event));
    show();
  };
  square.onpointerup = (): void => {
    timer = window.setTimeout(() => onDone(imageOf(strokes)), PAUSE);
  };
  return () => {
    clearTimeout(timer);
    strokes = [];
    show();
  };
}

/** Strokes as an image (28, 28), scaled to 20 pixels, with its centre of mass in the middle. */
function imageOf(strokes: Stroke[]): Float32Array {
  const points = strokes.flat();
  const [lowX, lowY] = [Math.min(...points.map(([x]) => x)), Math.min(...points.map(([, y]) => y))];
  const side = Math.max(0.05, ...points.map(([x, y]) => Math.max(x - lowX, y - lowY)));
  const scale = (BOX - 2 * PEN) / side;
  const placed = (left: number, top: number): Stroke[] =>
    strokes.map((stroke) => stroke.map(([x, y]) => [left + (x - lowX) * scale, top + (y - lowY) * scale]));
  const first = inked(placed(4, 4));
  let [mass, x, y] = [1e-9, 0, 0];
  first.forEach((value, at) => {
    mass += value;
    x += value * (at % SIZE);
    y += value * Math.floor(at / SIZE);
  });
  const middle = (SIZE - 1) / 2;
  return inked(placed(4 + middle - x / mass, 4 + middle - y / mass));
}

/** How much of each pixel is inked by strokes in pixels. */
function inked(strokes: Stroke[]): Float32Array {
  const image = new Float32Array(SIZE * SIZE);
  return image.map((_, at) => {
    const [x, y] = [at % SIZE, Math.floor(at / SIZE)];
    let nearest = Infinity;
    for (const stroke of strokes) {
      stroke.forEach(([bx, by], index) => {
        const [ax, ay] = stroke[Math.max(0, index - 1)] as [number, number];
        const [dx, dy] = [bx - ax, by - ay];
        const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
        nearest = Math.min(nearest, Math.hypot(x - ax - share * dx, y - ay - share * dy));
      });
    }
    return Math.min(1, Math.max(0, PEN + 0.5 - nearest));
  });
}

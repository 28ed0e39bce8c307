/** What is drawn on canvases. Their pixels are never read: saves come from arrays. */

export const SIZE = 28; // height and width of a drawing
const ZOOM = 8; // of a drawing on the page: sharp on screens of two pixels a point
const BARS = 120; // of the ring

const still = matchMedia("(prefers-reduced-motion: reduce)");
/** Whether the visitor wants nothing to move. */
export const calm = (): boolean => still.matches;

function paint(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser draws no pictures");
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

/** Give a canvas as many pixels as the screen has where it stands. */
export function sharpen(canvas: HTMLCanvasElement): void {
  const ratio = Math.max(2, devicePixelRatio);
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
}

export const wipe = (canvas: HTMLCanvasElement): void => void paint(canvas);

/** The largest magnitude in each of `count` parts of a sound. */
function envelope(samples: Float32Array, count: number): Float32Array {
  const found = new Float32Array(count);
  samples.forEach((each, at) => {
    const part = Math.floor((at * count) / samples.length);
    found[part] = Math.max(found[part] ?? 0, Math.abs(each));
  });
  return found;
}

/** A waveform as bars, at full height. */
export function drawWaveform(canvas: HTMLCanvasElement, samples: Float32Array): void {
  sharpen(canvas);
  const context = paint(canvas);
  context.fillStyle = getComputedStyle(canvas).color;
  const { width, height } = canvas;
  const levels = envelope(samples, Math.floor(width / 6));
  const most = Math.max(...levels, 1e-6);
  levels.forEach((level, at) => {
    const tall = Math.max(2, (level / most) * height * 0.9);
    context.beginPath();
    context.roundRect(6 * at, (height - tall) / 2, 4, tall, 2);
    context.fill();
  });
}

/** Levels (bands, frames) in [0, 1], low bands below. */
export function drawSpectrogram(canvas: HTMLCanvasElement, levels: Float32Array, bands: number): void {
  const frames = levels.length / bands;
  const image = new ImageData(frames, bands);
  for (let y = 0; y < bands; y++) {
    for (let x = 0; x < frames; x++) {
      const level = levels[(bands - 1 - y) * frames + x] ?? 0;
      const colour = [255 * Math.min(1, 1.6 * level), 255 * level ** 1.5, 255 * (0.2 + 0.6 * level - 0.4 * level ** 2)];
      image.data.set([...colour, 255], 4 * (y * frames + x));
    }
  }
  const small = new OffscreenCanvas(frames, bands);
  small.getContext("2d")?.putImageData(image, 0, 0);
  sharpen(canvas);
  paint(canvas).drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** Weights of four neighbours by a cubic B-spline, for each of `ZOOM` places between two pixels. */
const WEIGHTS = Array.from({ length: ZOOM }, (_, place) => {
  const t = (place + 0.5) / ZOOM;
  return [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3].map((each) => each / 6);
});

/** A drawing (28, 28) in [0, 1] as black ink, with smooth edges. */
export function drawInk(canvas: HTMLCanvasElement, pixels: Float32Array): void {
  const large = SIZE * ZOOM;
  const wide = new Float32Array(SIZE * large);
  const image = new ImageData(large, large);
  const mix = (from: Float32Array, at: number, base: number, step: number, edge: number): number => {
    const shifted = at - ZOOM / 2;
    const first = Math.floor(shifted / ZOOM);
    const weights = WEIGHTS[shifted - first * ZOOM] as number[];
    let sum = 0;
    for (let tap = 0; tap < 4; tap++) {
      const near = Math.min(edge - 1, Math.max(0, first - 1 + tap));
      sum += (weights[tap] as number) * (from[base + near * step] as number);
    }
    return sum;
  };
  for (let y = 0; y < SIZE; y++) for (let x = 0; x < large; x++) wide[y * large + x] = mix(pixels, x, y * SIZE, 1, SIZE);
  for (let y = 0; y < large; y++) {
    for (let x = 0; x < large; x++) {
      const t = Math.min(1, Math.max(0, (mix(wide, y, x, large, SIZE) - 0.22) / 0.36));
      image.data[4 * (y * large + x) + 3] = 255 * t * t * (3 - 2 * t);
    }
  }
  if (canvas.width !== large) canvas.width = canvas.height = large;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** What the ring shows: levels in [0, 1], one a bar. */
export type Levels = Float32Array;
export const loudness = (samples: Float32Array): Levels => {
  const levels = envelope(samples, BARS);
  const most = Math.max(...levels, 1e-6);
  return levels.map((each) => (each / most) ** 0.7);
};
export const silence = (): Levels => new Float32Array(BARS);

/** Draw bars around the button, of one hue, or of ten where there is none; those played stand out. */
export function drawRing(
  canvas: HTMLCanvasElement,
  levels: Levels,
  hues: Float32Array,
  light: boolean,
  progress?: number,
): void {
  const context = paint(canvas);
  const middle = canvas.width / 2;
  const inner = middle * 0.66;
  const room = middle - inner - 4;
  context.lineWidth = canvas.width / 130;
  context.lineCap = "round";
  levels.forEach((level, at) => {
    const angle = (2 * Math.PI * at) / levels.length - Math.PI / 2;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    const outer = inner + 2 + room * Math.min(1, level);
    const faint = progress !== undefined && at / levels.length > progress ? 0.35 : 1;
    context.strokeStyle = `oklch(${light ? 0.6 : 0.78} 0.19 ${hues[at]} / ${faint})`;
    context.beginPath();
    context.moveTo(middle + inner * x, middle + inner * y);
    context.lineTo(middle + outer * x, middle + outer * y);
    context.stroke();
  });
}

/** What is drawn on canvases. */

const INK = "#6b6fe0"; // seen on light paper and on dark

/** Make a canvas empty. */
export const wipe = (canvas: HTMLCanvasElement): void => void paint(canvas);

function paint(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no pictures");
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

/** A waveform, by the least and the greatest sample in each column. */
export function drawWaveform(canvas: HTMLCanvasElement, samples: Float32Array): void {
  const context = paint(canvas);
  context.fillStyle = INK;
  const middle = canvas.height / 2;
  for (let column = 0; column < canvas.width; column++) {
    const begin = Math.floor((column * samples.length) / canvas.width);
    const end = Math.max(begin + 1, Math.floor(((column + 1) * samples.length) / canvas.width));
    let low = 1;
    let high = -1;
    for (let at = begin; at < end; at++) {
      low = Math.min(low, samples[at] ?? 0);
      high = Math.max(high, samples[at] ?? 0);
    }
    context.fillRect(column, middle * (1 - high), 1, Math.max(1, middle * (high - low)));
  }
}

/** Levels (bands, frames) in [0, 1], low bands below. */
export function drawSpectrogram(canvas: HTMLCanvasElement, levels: Float32Array, bands: number): void {
  const frames = levels.length / bands;
  drawPixels(canvas, frames, bands, (x, y) => {
    const level = levels[(bands - 1 - y) * frames + x] ?? 0;
    return [255 * Math.min(1, 1.6 * level), 255 * level ** 1.5, 255 * (0.25 + 0.5 * level - 0.4 * level ** 2)];
  });
}

/** An image (size, size) in [0, 1], white on black. */
export function drawImage(canvas: HTMLCanvasElement, pixels: Float32Array, size: number): void {
  canvas.width = canvas.height = size;
  drawPixels(canvas, size, size, (x, y) => {
    const value = 255 * (pixels[y * size + x] ?? 0);
    return [value, value, value];
  });
}

function drawPixels(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  colour: (x: number, y: number) => [number, number, number],
): void {
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image.data.set([...colour(x, y), 255], 4 * (y * width + x));
  }
  const small = new OffscreenCanvas(width, height);
  small.getContext("2d")?.putImageData(image, 0, 0);
  const context = paint(canvas);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** A point of the map, each coordinate in [-1, 1]. */
export function drawPoint(canvas: HTMLCanvasElement, across: number, up: number): void {
  const context = paint(canvas);
  const { width, height } = canvas;
  context.strokeStyle = context.fillStyle = INK;
  context.globalAlpha = 0.4;
  context.strokeRect(0.5, 0.5, width - 1, height - 1);
  context.beginPath();
  context.moveTo(width / 2, 0);
  context.lineTo(width / 2, height);
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  context.globalAlpha = 1;
  context.beginPath();
  context.arc((width * (1 + across)) / 2, (height * (1 - up)) / 2, 8, 0, 2 * Math.PI);
  context.fill();
}

/** The canvases side by side as one png, four times as large. */
export async function sheet(canvases: HTMLCanvasElement[]): Promise<Blob> {
  const across = Math.min(8, canvases.length);
  const size = 4 * (canvases[0]?.width ?? 28);
  const whole = new OffscreenCanvas(across * size, Math.ceil(canvases.length / across) * size);
  const context = whole.getContext("2d");
  if (!context) throw new Error("this browser draws no pictures");
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, at) =>
    context.drawImage(canvas, (at % across) * size, Math.floor(at / across) * size, size, size),
  );
  return whole.convertToBlob({ type: "image/png" });
}

const LARGE_BYTES = 8 * 1024 * 1024;
const LONGEST = 2560;
/** What the server decodes at most is 50 million. */
const MANY_PIXELS = 40_000_000;

/**
 * A file as the server takes it: JPEG and PNG as they are; what is larger, in bytes or pixels, or of another kind that
 * this browser can read, becomes a JPEG. What nobody can read stays, and the server says what it is.
 */
export async function prepare(file: File): Promise<Blob> {
  const plain = file.type === "image/jpeg" || file.type === "image/png";
  try {
    const bitmap = await createImageBitmap(file);
    if (plain && file.size <= LARGE_BYTES && bitmap.width * bitmap.height <= MANY_PIXELS) {
      bitmap.close();
      return file;
    }
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await jpegOf(canvas, 0.92);
  } catch {
    return file;
  }
}

/** A picture as iPhones take it, which few browsers can read. */
export function isHeic(file: File): boolean {
  return /^image\/hei[cf]/.test(file.type) || /\.hei[cf]$/i.test(file.name);
}

/** What is on a canvas, as a JPEG. */
export function jpegOf(canvas: HTMLCanvasElement, quality: number): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("No picture"))), "image/jpeg", quality),
  );
}

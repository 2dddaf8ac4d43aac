/** Texts of cells: what identifies one, and the smallest edit that makes one into another. */

/** A replacement of `from` to `to`. */
export interface Edit {
  from: number;
  to: number;
  insert: string;
}

/** Return the edit that leaves the equal beginning and end of two texts alone, so that a cursor in them stays. */
export function edit(old: string, text: string): Edit {
  const shortest = Math.min(old.length, text.length);
  let from = 0;
  while (from < shortest && old[from] === text[from]) from++;
  if (from > 0 && isHigh(old, from - 1)) from--; // never between the halves of a character
  let same = 0;
  while (same < shortest - from && old[old.length - 1 - same] === text[text.length - 1 - same]) same++;
  if (same > 0 && isLow(old, old.length - same)) same--;
  return { from, to: old.length - same, insert: text.slice(from, text.length - same) };
}

function isHigh(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800;
}

function isLow(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xdc00;
}

/** Return the `base` of a text, as the kernel computes it: 16 hexadecimal digits of its SHA-256. */
export function baseOf(text: string): string {
  const words = sha256(new TextEncoder().encode(text));
  return [words[0], words[1]].map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

const PRIMES = Array.from({ length: 312 }, (_, number) => number).filter(
  number => number > 1 && !Array.from({ length: 17 }, (_, low) => low + 2).some(low => low < number && number % low === 0)
);
const ROUNDS = PRIMES.map(prime => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map(prime => fraction(Math.sqrt(prime)));

function fraction(root: number): number {
  return ((root % 1) * 2 ** 32) | 0;
}

/** FIPS 180-4. The browser's own is missing in pages that are not served over HTTPS, and does not answer at once. */
function sha256(bytes: Uint8Array): number[] {
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length * 8);
  const hash = [...START];
  const schedule = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 64; i++) schedule[i] = i < 16 ? view.getInt32(block + i * 4) : expanded(schedule, i);
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const first = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + schedule[i];
      const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (hash[i] = (hash[i] + word) | 0));
  }
  return hash;
}

function expanded(words: Int32Array, i: number): number {
  const [low, high] = [words[i - 15], words[i - 2]];
  return words[i - 16] + (turn(low, 7) ^ turn(low, 18) ^ (low >>> 3)) + words[i - 7] + (turn(high, 17) ^ turn(high, 19) ^ (high >>> 10));
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

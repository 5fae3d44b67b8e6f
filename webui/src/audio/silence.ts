/** Where nobody speaks, so that a player can leave it out. */

/** Lowest and highest value in turn for each track, `per_second` pairs a second, in 1/128 of full scale. */
export interface Outline {
  per_second: number;
  tracks: number[][];
}

export interface Stretch {
  from_s: number;
  to_s: number;
}

/** 1/128 of full scale: some -36 dB, above the noise of a line and below speech. */
const QUIET = 2;
/** Pauses within speech are shorter. */
const LEAST_S = 1.2;
/** What is left on both sides, so that no word loses its beginning. */
const MARGIN_S = 0.3;

/** The stretches in which all tracks are quiet. */
export function silences(outline: Outline): Stretch[] {
  const { per_second, tracks } = outline;
  const count = Math.max(0, ...tracks.map((track) => Math.floor(track.length / 2)));
  const isQuiet = (at: number) =>
    tracks.every((track) => -(track[2 * at] ?? 0) <= QUIET && (track[2 * at + 1] ?? 0) <= QUIET);
  const found: Stretch[] = [];
  let begun = -1;
  for (let at = 0; at <= count; at += 1) {
    if (at < count && isQuiet(at)) {
      if (begun < 0) begun = at;
    } else if (begun >= 0) {
      const stretch = { from_s: begun / per_second, to_s: at / per_second };
      begun = -1;
      if (stretch.to_s - stretch.from_s < LEAST_S) continue;
      const inner = { from_s: stretch.from_s && stretch.from_s + MARGIN_S, to_s: stretch.to_s - MARGIN_S };
      found.push(at === count ? { ...inner, to_s: stretch.to_s } : inner);
    }
  }
  return found;
}

/** Where to go on at this moment: behind the silence that it lies in, or right there. */
export function behindSilence(stretches: Stretch[], at_s: number): number {
  const found = stretches.find(({ from_s, to_s }) => from_s <= at_s && at_s < to_s);
  return found ? found.to_s : at_s;
}

const PER_SECOND = 50;
const FULL_SCALE = 128;

/** The outline of decoded sound, for what the box keeps none of. */
export function outlineOf(tracks: Float32Array[], sampleRate_hz: number): Outline {
  const step = Math.max(1, Math.round(sampleRate_hz / PER_SECOND));
  return {
    per_second: sampleRate_hz / step,
    tracks: tracks.map((samples) => {
      const values: number[] = [];
      for (let from = 0; from < samples.length; from += step) {
        let low = 0;
        let high = 0;
        for (const value of samples.subarray(from, from + step)) {
          if (value < low) low = value;
          else if (value > high) high = value;
        }
        values.push(Math.round(low * FULL_SCALE), Math.round(high * FULL_SCALE));
      }
      return values;
    }),
  };
}

/** Takes the answer of `GET /live` apart: blocks of PCM, each behind a head that names its channel. */

export interface LiveBlock {
  channel: number;
  sampleRate_hz: number;
  /** One array for each track, -1 to 1. */
  tracks: Float32Array<ArrayBuffer>[];
}

const MAGIC_BYTES = 8;
const HEAD_BYTES = 28;
const FULL_SCALE = 32768;

/** Feed it the bytes as they come; every call gives the blocks that became whole. */
export class LiveBlocks {
  private rest = new Uint8Array(0);
  private begun = false;

  push(bytes: Uint8Array): LiveBlock[] {
    const data = new Uint8Array(this.rest.length + bytes.length);
    data.set(this.rest);
    data.set(bytes, this.rest.length);
    const view = new DataView(data.buffer);
    const found: LiveBlock[] = [];
    let at = 0;
    if (!this.begun && data.length >= MAGIC_BYTES) {
      this.begun = true;
      at = MAGIC_BYTES;
    }
    while (this.begun && data.length - at >= HEAD_BYTES) {
      const size = view.getUint32(at + 24, true);
      if (data.length - at < HEAD_BYTES + size) break;
      found.push(block(view, at, size));
      at += HEAD_BYTES + size;
    }
    this.rest = data.slice(at);
    return found;
  }
}

function block(view: DataView, at: number, size: number): LiveBlock {
  const count = view.getUint16(at + 2, true);
  const samples = size / (2 * count);
  const tracks = Array.from({ length: count }, (_, track) => {
    const values = new Float32Array(samples);
    for (let index = 0; index < samples; index += 1) {
      values[index] = view.getInt16(at + HEAD_BYTES + 2 * (index * count + track), true) / FULL_SCALE;
    }
    return values;
  });
  return { channel: view.getUint16(at, true), sampleRate_hz: view.getUint32(at + 4, true), tracks };
}

/** G.711: a full-scale sine is +3.14 dBm0. */
const FULL_SINE_DBM0 = 3.14;

/** The level of a block; silence is far below every meter. */
export function level_dbm0(tracks: Float32Array[]): number {
  const loudest = Math.max(
    ...tracks.map((track) => track.reduce((sum, value) => sum + value * value, 0) / track.length),
  );
  return 10 * Math.log10(2 * loudest + 1e-12) + FULL_SINE_DBM0;
}

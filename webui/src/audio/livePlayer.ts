/** Plays blocks of several channels without a seam, as close behind their arrival as the network allows. */

import type { LiveBlock } from "./liveBlocks";

/** So much is kept in hand: a block that comes late by less is not heard. */
const LEAD_S = 0.12;
/** More in hand than this is delay: what piled up is left out. */
const MOST_AHEAD_S = 0.5;

export class LivePlayer {
  private readonly context: AudioContext;
  private readonly next_s = new Map<number, number>();

  constructor(sampleRate_hz: number) {
    // At the rate of the line every block is played as it is; the browser converts the sum without seams.
    this.context = new AudioContext({ sampleRate: sampleRate_hz, latencyHint: "interactive" });
    void this.context.resume();
  }

  play(block: LiveBlock): void {
    const samples = block.tracks[0]?.length ?? 0;
    if (!samples) return;
    const now_s = this.context.currentTime;
    let at_s = this.next_s.get(block.channel) ?? 0;
    if (at_s > now_s + MOST_AHEAD_S) return;
    if (at_s < now_s) at_s = now_s + LEAD_S;
    const buffer = this.context.createBuffer(block.tracks.length, samples, block.sampleRate_hz);
    block.tracks.forEach((track, index) => {
      buffer.copyToChannel(track, index);
    });
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    source.start(at_s);
    this.next_s.set(block.channel, at_s + samples / block.sampleRate_hz);
  }

  close(): void {
    void this.context.close();
  }
}

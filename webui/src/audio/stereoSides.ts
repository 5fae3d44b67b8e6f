/** The two directions of a recording, each of which can be muted: left is the near side, right the far one. */
export class StereoSides {
  private readonly context = new AudioContext();
  private readonly own: GainNode[] = [];
  private readonly across: GainNode[] = [];

  constructor(media: HTMLMediaElement) {
    const source = this.context.createMediaElementSource(media);
    const splitter = this.context.createChannelSplitter(2);
    const merger = this.context.createChannelMerger(2);
    source.connect(splitter);
    merger.connect(this.context.destination);
    for (const side of [0, 1]) {
      for (const [gains, ear] of [[this.own, side] as const, [this.across, 1 - side] as const]) {
        const gain = this.context.createGain();
        splitter.connect(gain, side);
        gain.connect(merger, 0, ear);
        gains.push(gain);
      }
    }
    this.mute(false, false);
  }

  /** What is left is heard on both ears: one voice on one ear is hard to listen to. */
  mute(left: boolean, right: boolean): void {
    void this.context.resume();
    const heard = [!left, !right];
    for (const side of [0, 1]) {
      set(this.own[side], heard[side] ?? false);
      set(this.across[side], (heard[side] ?? false) && !heard[1 - side]);
    }
  }

  close(): void {
    void this.context.close();
  }
}

function set(node: GainNode | undefined, open: boolean): void {
  if (node) node.gain.value = open ? 1 : 0;
}

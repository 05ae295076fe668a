/** A channel without Redis: wires whose every text a test may hold up, lose or make up. Commands are answered by nobody. */
import type { Wire, WireCounts, WireListener } from '../../src/events/wire.ts';

export class FakeHub {
  readonly #wires = new Set<FakeWire>();
  /** What was published, oldest first. */
  readonly texts: string[] = [];
  /** Decides of each text that was published whether it arrives. */
  arrives: (text: string) => boolean = () => true;

  wire(): FakeWire {
    const wire = new FakeWire(this);
    this.#wires.add(wire);
    return wire;
  }

  publish(text: string): void {
    this.texts.push(text);
    if (this.arrives(text)) this.say(text);
  }

  /** Somebody on the channel says this. */
  say(text: string): void {
    for (const wire of this.#wires) if (wire.open) wire.listener?.onText(text);
  }
}

export class FakeWire implements Wire {
  readonly #hub: FakeHub;
  listener: WireListener | undefined;
  open = false;
  replaced = 0;

  constructor(hub: FakeHub) {
    this.#hub = hub;
  }

  start(listener: WireListener): void {
    this.listener = listener;
    this.connect();
  }

  connect(): void {
    this.open = true;
    this.listener?.onReady();
    this.listener?.onListening();
  }

  async stop(): Promise<void> {
    this.open = false;
    this.listener = undefined;
  }

  isOpen(): boolean {
    return this.open;
  }

  publish(text: string): boolean {
    if (this.open) this.#hub.publish(text);
    return this.open;
  }

  command(): null {
    return null;
  }

  replace(): void {
    this.replaced++;
    this.open = false;
  }

  counts(): WireCounts {
    return { failed: 0, reason: 'ECONNREFUSED' };
  }
}

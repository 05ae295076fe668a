/** Lets the demo run beside whatever already listens: a taken port is no reason to fail for something just tried out. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** The port when nobody listens there, else 0, which lets the system choose. */
export async function portIfFree(host: string, port: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(port, host);
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
    return port;
  } catch {
    return 0;
  }
}

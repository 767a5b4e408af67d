/**
 * gdb's door: a socket that only this host reaches, one gdb at a time. It is served in the worker thread, whenever the guest stands
 * still or takes a breath.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { frame, PacketReader } from './gdb-packets.ts';
import type { Client, GdbSession } from './gdb-session.ts';
import { UsageError } from './usage-error.ts';

const HOST = '127.0.0.1';
/** Whoever asks and never reads the answers is sent away. */
const MAX_UNREAD = 16 << 20;
const MAX_CONNECTIONS = 8;

/** Listens on `port`; 0 is any free one. @returns the server and its port. @throws UsageError */
export const listen = async (port: number): Promise<{ server: Server; port: number }> => {
  const server = createServer();
  server.maxConnections = MAX_CONNECTIONS;
  const listening = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(port, HOST, () => resolve(undefined));
  });
  if (listening)
    throw new UsageError(
      `--gdb ${port} cannot be listened on (${listening.code}): give another port, or 0 for any`,
    );
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : port };
};

/** Whoever connects to `server` may debug. */
export const serve = (server: Server, session: GdbSession): void => {
  server.on('connection', (socket) => {
    if (session.taken) socket.destroy();
    else talk(socket, session);
  });
};

const talk = (socket: Socket, session: GdbSession): void => {
  let last = '';
  let acknowledged = true;
  /** It is gdb: it said something in gdb's language. */
  let known = false;
  const put = (text: string): void => {
    if (socket.writableLength > MAX_UNREAD) socket.destroy();
    else if (socket.writable) socket.write(text, 'latin1');
  };
  const send = (payload: string): void => {
    last = frame(payload);
    put(last);
  };
  const client: Client = {
    send,
    end: () =>
      new Promise((resolve) => {
        socket.once('close', resolve);
        socket.end(resolve);
      }),
  };
  const packet = (payload: string): void => {
    if (!known && session.taken) socket.destroy();
    else if (!known) session.connect(client);
    known = true;
    if (payload === 'QStartNoAckMode') {
      send('OK');
      acknowledged = false;
    } else session.packet(client, payload);
  };
  const reader = new PacketReader({
    packet,
    interrupt: () => session.interrupt(client),
    repeat: () => acknowledged && put(last),
    acknowledge: (good) => acknowledged && put(good ? '+' : '-'),
    overflow: () => socket.destroy(),
  });
  socket.setNoDelay(true);
  socket.on('data', (bytes) => reader.take(bytes));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => session.disconnect(client));
};

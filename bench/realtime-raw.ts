// In charge of: WebSockets by hand, for `bench/realtime.ts` to compare with: `ws` as its own page shows it. What one client says goes to all; what
// begins with "?" is nobody's business.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (data[0] === 0x3f) return;
    for (const client of server.clients)
      if (client.readyState === client.OPEN) client.send(data, { binary: isBinary });
  });
});
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  if (typeof address === 'object' && address !== null) console.log(address.port);
});

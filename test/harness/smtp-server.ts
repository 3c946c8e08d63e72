// In charge of: a mail server for tests, on loopback: it takes mails, shows them, and refuses or falls silent where a test wants it.
// Source: RFC 5321; RFC 3207 (STARTTLS); RFC 4954 (AUTH).
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Pair } from './certificates.ts';

export interface TakenMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Header and body as they came over the line. */
  readonly source: string;
  readonly overTls: boolean;
  readonly login: string | undefined;
}

export interface SmtpServerOptions {
  /** Offers STARTTLS, or with `implicit` speaks TLS from the beginning. */
  readonly certificate?: Pair;
  readonly implicit?: boolean;
  /** Offers AUTH PLAIN and takes this alone: `user:password`. */
  readonly login?: string;
  /** What is answered to a command in the place of the usual: `{ RCPT: '550 no such mailbox' }`. Null: nothing, for ever. */
  readonly answers?: Record<string, string | null>;
}

export interface SmtpServer extends AsyncDisposable {
  readonly port: number;
  readonly mails: TakenMail[];
  /** Every command, without its arguments. */
  readonly commands: string[];
  /** May be changed between two mails. */
  readonly answers: Record<string, string | null>;
  connections(): number;
  /** Resolves with the mail of this number, from 1. */
  mail(number: number): Promise<TakenMail>;
}

export async function openSmtpServer(options: SmtpServerOptions = {}): Promise<SmtpServer> {
  const mails: TakenMail[] = [];
  const commands: string[] = [];
  const answers = { ...options.answers };
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  let connections = 0;

  function take(mail: TakenMail): void {
    mails.push(mail);
    for (const check of waiting) check();
  }

  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const secured = options.implicit ? secure(socket) : socket;
    talk(secured, options.implicit === true);
  });

  function secure(socket: Socket): Socket {
    const { cert, key } = options.certificate!;
    return new TLSSocket(socket, { isServer: true, cert, key }).on('error', () => {});
  }

  function talk(socket: Socket, overTls: boolean): void {
    let from = '';
    let to: string[] = [];
    let login: string | undefined;
    let rest = '';
    let isData = false;
    const say = (line: string) => socket.write(`${line}\r\n`);
    if (answers.GREETING === undefined) {
      if (!overTls || options.implicit) say('220 mail.test ESMTP');
    } else if (answers.GREETING !== null) say(answers.GREETING);

    const extensions = () => [
      'mail.test',
      ...(options.certificate && !overTls ? ['STARTTLS'] : []),
      ...(options.login ? ['AUTH PLAIN'] : []),
    ];
    const usual: Record<string, (argument: string) => void> = {
      EHLO: () => {
        const lines = extensions();
        for (const [at, line] of lines.entries()) say(`250${at === lines.length - 1 ? ' ' : '-'}${line}`);
      },
      HELO: () => say('250 mail.test'),
      AUTH: (argument) => {
        const [, user, password] = Buffer.from(argument.split(' ')[1] ?? '', 'base64')
          .toString()
          .split('\0');
        login = `${user}:${password}`;
        say(login === options.login ? '235 welcome' : '535 wrong');
      },
      MAIL: (argument) => {
        from = /<(.*)>/.exec(argument)?.[1] ?? '';
        to = [];
        say('250 fine');
      },
      RCPT: (argument) => {
        to.push(/<(.*)>/.exec(argument)?.[1] ?? '');
        say('250 fine');
      },
      DATA: () => {
        isData = true;
        say('354 go on');
      },
      RSET: () => say('250 fine'),
      NOOP: () => say('250 fine'),
      QUIT: () => {
        say('221 bye');
        socket.end();
      },
    };

    function command(line: string): 'upgraded' | undefined {
      const [name = ''] = line.toUpperCase().split(' ');
      commands.push(name);
      if (Object.hasOwn(answers, name)) {
        const answer = answers[name];
        if (answer !== null && answer !== undefined) say(answer);
        return undefined;
      }
      if (name === 'STARTTLS' && options.certificate && !overTls) {
        say('220 go on');
        socket.removeListener('data', onData);
        talk(secure(socket), true);
        return 'upgraded';
      }
      const argument = line.slice(name.length + 1);
      if (usual[name]) usual[name](argument);
      else say('500 what?');
      return undefined;
    }

    function onData(chunk: Buffer): void {
      rest += chunk.toString('latin1');
      for (;;) {
        if (isData) {
          const end = rest.indexOf('\r\n.\r\n');
          if (end === -1) return;
          const source = Buffer.from(rest.slice(0, end), 'latin1').toString('utf8').replace(/^\.\./gm, '.');
          rest = rest.slice(end + 5);
          isData = false;
          const answer = answers.BODY;
          if (answer === null) return;
          if (answer === undefined) take({ from, to, source, overTls, login });
          say(answer ?? '250 taken');
          continue;
        }
        const end = rest.indexOf('\r\n');
        if (end === -1) return;
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (command(line) === 'upgraded') return;
      }
    }
    socket.on('data', onData);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // Sound: a TCP server has an address of this form.
    port: (server.address() as AddressInfo).port,
    mails,
    commands,
    answers,
    connections: () => connections,
    mail: (number) =>
      new Promise((resolve) => {
        const check = () => {
          const found = mails[number - 1];
          if (found === undefined) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        check();
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

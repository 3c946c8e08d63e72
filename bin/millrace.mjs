#!/usr/bin/env node
// The launcher: plain JavaScript that any Node can read. It finds a Node that runs the program and hands over.
import { launch } from './run-ts.mjs';

await launch('server/cli/main', process.argv.slice(2));

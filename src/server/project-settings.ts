// In charge of: every table of settings that a project has, with the title under which the reference shows it.
import type { Settings } from '../base/settings.ts';
import { changeFeedSettings } from '../engine/db/replication/settings.ts';
import { egressSettings } from '../engine/egress/settings.ts';
import { fanoutSettings } from '../engine/fanout/settings.ts';
import { thirdPartySettings } from '../engine/identity/third-party.ts';
import { limitSettings } from '../engine/limits/settings.ts';
import { inboxSettings, smtpSettings } from '../engine/mail/settings.ts';
import { auth } from '../services/auth/service.ts';
import { realtime } from '../services/realtime/service.ts';
import { rest } from '../services/rest/service.ts';
import { storage } from '../services/storage/service.ts';
import { adminSettings } from './admin/settings.ts';
import { guardSettings } from './guard/settings.ts';
import { serverSettings } from './settings.ts';
import { tlsSettings } from './tls/settings.ts';

export const projectSettings: readonly (readonly [title: string, settings: Settings])[] = [
  ['The program: ports, keys, database, bounds', serverSettings],
  ['TLS', tlsSettings],
  ['The front of the gateway: addresses, rules, bounds, pages of other origins', guardSettings],
  ['Limits and quotas', limitSettings],
  ['The operator plane', adminSettings],
  ['Other issuers of tokens', thirdPartySettings],
  ['Outgoing requests', egressSettings],
  ['Data API', rest.settings],
  ['Sign-in', auth.settings],
  ['Files', storage.settings],
  ['Changes of rows', changeFeedSettings],
  ['Realtime', realtime.settings],
  ['Between processes', fanoutSettings],
  ['The mail server', smtpSettings],
  ['The inbox of development', inboxSettings],
];

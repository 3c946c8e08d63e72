// In charge of: what a provider of text messages is here: facts, the request that it wants, and what its answer means.
import type { SmsChannel } from './port.ts';
import type { SmsSettings } from './settings.ts';

export const providerNames = ['twilio', 'twilio_verify', 'messagebird', 'textlocal', 'vonage'] as const;
export type ProviderName = (typeof providerNames)[number];

export interface Outgoing {
  /** Digits alone. */
  readonly phone: string;
  readonly text: string;
  readonly otp: string;
  readonly channel: SmsChannel;
}

/** A POST of a form. */
export interface FormRequest {
  /** After the base address. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly form: readonly (readonly [name: string, value: string])[];
}

/** What came back: the status, and the body's JSON object. */
export interface ProviderAnswer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

export type Sent =
  | { readonly kind: 'sent'; readonly id: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface Provider {
  readonly name: ProviderName;
  readonly baseUrl: string;
  readonly channels: readonly SmsChannel[];
  /** What has to be set, the setting's key with its name in code. */
  readonly needs: readonly (readonly [key: string, name: keyof SmsSettings])[];
  readonly request: (settings: SmsSettings, message: Outgoing) => FormRequest;
  readonly read: (answer: ProviderAnswer, message: Outgoing) => Sent;
  /** Of a provider that makes its codes itself: whether one is right. */
  readonly check?: {
    readonly request: (settings: SmsSettings, phone: string, code: string) => FormRequest;
    readonly isRight: (answer: ProviderAnswer) => boolean;
  };
}

/** Text of a member, a number as text; empty when it is neither. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** A member's first element, or the member itself, as an object; empty when it is none. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  const one: unknown = Array.isArray(value) ? value[0] : value;
  // Sound: an object that is no array has members of unknown value.
  return typeof one === 'object' && one !== null ? (one as Readonly<Record<string, unknown>>) : {};
}

export const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

export const isGood = (status: number) => status === 200 || status === 201;

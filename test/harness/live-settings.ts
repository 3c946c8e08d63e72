// In charge of: settings that a test changes while the backend runs, and that are as they were when it has ended.
import { expect } from 'vitest';
import type { OperatorClient } from '../../src/server/cli/operator-client.ts';

export interface LiveSettingsOfTest {
  set(key: string, value: unknown): Promise<void>;
  /** For `afterEach`. */
  restore(): Promise<void>;
}

export function changeSettings(operator: () => OperatorClient): LiveSettingsOfTest {
  const changed = new Set<string>();
  return {
    async set(key, value) {
      const { status, body } = await operator().request('PUT', `/settings/${key}`, { value });
      expect({ status, body }).toMatchObject({ status: 200 });
      changed.add(key);
    },
    async restore() {
      for (const key of changed) await operator().request('DELETE', `/settings/${key}`);
      changed.clear();
    },
  };
}

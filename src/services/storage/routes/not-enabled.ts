// In charge of: /iceberg and /vector: tables and vectors in buckets, which no project of ours has. They are answered as hosted projects without them answer.
// Source: supabase/storage src/http/plugins/tenant-feature.ts, before who asks is looked at; src/http/routes/{iceberg,vector}.

import type { Handle } from '../context.ts';
import { notEnabledHere } from '../errors.ts';

export const notEnabled: Handle = async () => {
  throw notEnabledHere();
};

type Method = 'GET' | 'HEAD' | 'POST' | 'DELETE';

const namespaces = '/iceberg/v1/:prefix/namespaces';

export const routesNotEnabled: readonly (readonly [Method, string])[] = [
  ['GET', '/iceberg/bucket'],
  ['POST', '/iceberg/bucket'],
  ['DELETE', '/iceberg/bucket/:bucket'],
  ['GET', '/iceberg/v1/config'],
  ['GET', namespaces],
  ['POST', namespaces],
  ['GET', `${namespaces}/:namespace`],
  ['HEAD', `${namespaces}/:namespace`],
  ['DELETE', `${namespaces}/:namespace`],
  ['GET', `${namespaces}/:namespace/tables`],
  ['POST', `${namespaces}/:namespace/tables`],
  ['GET', `${namespaces}/:namespace/tables/:table`],
  ['HEAD', `${namespaces}/:namespace/tables/:table`],
  ['POST', `${namespaces}/:namespace/tables/:table`],
  ['DELETE', `${namespaces}/:namespace/tables/:table`],
  ...[
    'CreateVectorBucket',
    'GetVectorBucket',
    'ListVectorBuckets',
    'DeleteVectorBucket',
    'CreateIndex',
    'GetIndex',
    'ListIndexes',
    'DeleteIndex',
    'PutVectors',
    'GetVectors',
    'ListVectors',
    'QueryVectors',
    'DeleteVectors',
  ].map((name) => ['POST', `/vector/${name}`] as const),
];

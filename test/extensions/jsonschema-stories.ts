// In charge of: what pg_jsonschema answers, as SQL stories: upstream's own examples and tests, then keyword by keyword.
import type { Question, Story } from './stories.ts';

/** `schema` as a value, or as JSON where its `then` would make a promise of it. */
const errors = (schema: unknown, instance: unknown, expected: readonly string[]): Question => ({
  sql: `select extensions.jsonschema_validation_errors($s$${typeof schema === 'string' ? schema : JSON.stringify(schema)}$s$, $i$${JSON.stringify(instance)}$i$) as errors`,
  rows: [{ errors: expected }],
});

export const jsonschemaStories: readonly Story[] = [
  {
    // Source: supabase/pg_jsonschema README.md and src/lib.rs, its tests.
    it: 'pg_jsonschema: checks a column, as upstream’s example does',
    migration: `create extension if not exists "pg_jsonschema" with schema "extensions";
      create table customer (id serial primary key, metadata json, check (extensions.json_matches_schema(
        '{"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string", "maxLength": 16}}}}', metadata)));
      create table compiled (data jsonb check (extensions.jsonb_matches_compiled_schema('{"type":"object","required":["name"]}'::extensions.jsonschema, data)));`,
    ask: [
      {
        sql: `insert into customer (metadata) values ('{"tags": ["vip", "darkmode-ui"]}') returning id`,
        rows: [{ id: 1 }],
      },
      {
        sql: `insert into customer (metadata) values ('{"tags": [1, 3]}')`,
        refused: ['23514', /customer_metadata_check/],
      },
      { sql: `insert into compiled values ('{"name": 1}') returning data`, rows: [{ data: { name: 1 } }] },
      { sql: `insert into compiled values ('{}')`, refused: ['23514', /compiled_data_check/] },
      { sql: `select '{"type":"obj"}'::extensions.jsonschema`, refused: ['23514', /is_json_schema/] },
      errors({ maxLength: 4 }, '123456789', ['"123456789" is longer than 4 characters']),
      errors({ maxLength: 4 }, 'foo', []),
      {
        sql: `select array(select error from unnest(extensions.jsonschema_validation_errors('{"type":"object","properties":{"foo":{"type":"string"},"bar":{"type":"number"},"baz":{"type":"boolean"}}}',
                '{"foo":1,"bar":[],"baz":"1"}')) as error order by error collate "C") as errors`,
        rows: [
          {
            errors: [
              '"1" is not of type "boolean"',
              '1 is not of type "string"',
              '[] is not of type "number"',
            ],
          },
        ],
      },
      {
        sql: `select extensions.jsonschema_is_valid('{"type": "object"}') as object, extensions.jsonschema_is_valid('{"type": "obj"}') as obj,
                extensions.jsonschema_is_valid('{"$schema": "invalid-uri", "type": "string"}') as unknown`,
        rows: [{ object: true, obj: false, unknown: false }],
      },
      errors({ enum: 1 }, 'anything', ['Invalid JSON schema at path: /enum']),
      {
        sql: `select extensions.json_matches_schema('{"type": "number", "multipleOf": 0.1}', '17.2') as tenth,
                extensions.json_matches_schema('{"type": "number", "multipleOf": 0.3}', '17.2') as third`,
        rows: [{ tenth: true, third: false }],
      },
    ],
  },
  {
    // The texts are those of Stranger6667/jsonschema crates/jsonschema/src/error.rs, with which upstream is built.
    it: 'pg_jsonschema: each keyword accepts and refuses, in upstream’s words',
    ask: [
      errors({ type: ['string', 'null'] }, 1, ['1 is not of types "null", "string"']),
      errors({ type: 'integer' }, 1.0, []),
      errors({ type: 'integer' }, 1.5, ['1.5 is not of type "integer"']),
      errors({ enum: ['a', 'b', 'c'] }, 'd', ['"d" is not one of "a", "b" or "c"']),
      errors({ enum: [1, 2, 3, 4] }, { b: 1, a: [2] }, [
        '{"a":[2],"b":1} is not one of 1, 2 or 2 other candidates',
      ]),
      errors({ const: { a: 1 } }, { a: 2 }, ['{"a":1} was expected']),
      errors({ minLength: 1 }, '', ['"" is shorter than 1 character']),
      errors({ pattern: '^a\\d$' }, 'b1', ['"b1" does not match "^a\\d$"']),
      errors({ minimum: 2, maximum: 3 }, 1, ['1 is less than the minimum of 2']),
      errors({ exclusiveMaximum: 3 }, 3, ['3 is greater than or equal to the maximum of 3']),
      errors({ $schema: 'http://json-schema.org/draft-04/schema#', maximum: 3, exclusiveMaximum: true }, 3, [
        '3 is greater than or equal to the maximum of 3',
      ]),
      errors({ multipleOf: 2 }, 3, ['3 is not a multiple of 2']),
      errors({ required: ['a', 'b'] }, { a: 1 }, ['"b" is a required property']),
      errors({ properties: { a: { type: 'string' } }, additionalProperties: false }, { a: 'x', b: 1, c: 2 }, [
        "Additional properties are not allowed ('b', 'c' were unexpected)",
      ]),
      errors(
        { patternProperties: { '^x': { type: 'number' } }, additionalProperties: { type: 'null' } },
        { x1: 'a', y: 1 },
        ['"a" is not of type "number"', '1 is not of type "null"'].toSorted(),
      ),
      errors({ propertyNames: { maxLength: 1 } }, { ab: 1 }, ['"ab" is longer than 1 character']),
      errors({ minProperties: 1 }, {}, ['{} has less than 1 property']),
      errors({ maxItems: 2 }, [1, 2, 3], ['[1,2,3] has more than 2 items']),
      errors({ uniqueItems: true }, [1, 1.0], ['[1,1] has non-unique elements']),
      errors(
        { prefixItems: [{ type: 'string' }], items: { type: 'number' } },
        ['a', 'b'],
        ['"b" is not of type "number"'],
      ),
      errors(
        {
          $schema: 'http://json-schema.org/draft-07/schema#',
          items: [{ type: 'string' }],
          additionalItems: false,
        },
        ['a', 1],
        ['Additional items are not allowed (1 was unexpected)'],
      ),
      errors({ contains: { type: 'string' } }, [1], ['None of [1] are valid under the given schema']),
      errors({ anyOf: [{ type: 'string' }, { type: 'null' }] }, 1, [
        "1 is not valid under any of the schemas listed in the 'anyOf' keyword",
      ]),
      errors({ oneOf: [{ type: 'number' }, { minimum: 0 }] }, 1, [
        "1 is valid under more than one of the schemas listed in the 'oneOf' keyword",
      ]),
      errors({ not: { type: 'null' } }, null, ['{"type":"null"} is not allowed for null']),
      errors('{"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}', 'a', [
        '"a" is shorter than 2 characters',
      ]),
      errors('{"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}', 4, [
        '4 is less than the minimum of 5',
      ]),
      errors({ dependentRequired: { a: ['b'] } }, { a: 1 }, ['"b" is a required property']),
      errors({ allOf: [true, false] }, 1, ['False schema does not allow 1']),
      // Asserted up to draft 7, only an annotation since.
      errors({ $schema: 'http://json-schema.org/draft-07/schema#', format: 'date' }, '2024-02-30', [
        '"2024-02-30" is not a "date"',
      ]),
      errors({ format: 'date' }, '2024-02-30', []),
    ],
  },
  {
    it: 'pg_jsonschema: references are followed inside of the schema; what is not checked is refused',
    ask: [
      errors(
        {
          $defs: {
            tree: {
              type: 'object',
              properties: { children: { type: 'array', items: { $ref: '#/$defs/tree' } } },
            },
          },
          $ref: '#/$defs/tree',
        },
        { children: [{ children: [{ children: 1 }] }] },
        ['1 is not of type "array"'],
      ),
      {
        sql: `select extensions.json_matches_schema('{"$ref": "#"}', '1')`,
        refused: ['54001', /more than 64 times/],
      },
      {
        sql: `select extensions.json_matches_schema('{"$ref": "https://example.com/a"}', '1')`,
        refused: ['0A000', /^the reference "https:\/\/example.com\/a" is not followed$/],
      },
      {
        sql: `select extensions.json_matches_schema('{"$ref": "#/$defs/none"}', '1')`,
        refused: ['22023', /leads to nothing/],
      },
      {
        sql: `select extensions.json_matches_schema('{"unevaluatedProperties": false}', '{}')`,
        refused: [
          '0A000',
          /^the keyword "unevaluatedProperties" of JSON Schema is not checked by this pg_jsonschema$/,
        ],
      },
      {
        sql: `select extensions.json_matches_schema('{"type": "obj"}', '{}')`,
        refused: ['22023', /^Invalid JSON schema at path: \/type$/],
      },
    ],
  },
];

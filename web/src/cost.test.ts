import { expect, test } from 'vitest';
import { askingHeaders, cacheWords, costOf, duration, plural } from './cost';

test('what is missing in the extensions is empty; without them there is nothing', () => {
  expect(costOf('{"data":{}}')).toBeUndefined();
  expect(costOf('<html>')).toBeUndefined();
  expect(costOf('{"extensions":{"taskmed":{"cost":3,"statements":1,"durationMs":2.5}}}')).toEqual({
    cost: 3,
    statements: 1,
    durationMs: 2.5,
    fields: [],
    sql: [],
  });
  const sql = [{ text: 'SELECT …', count: 1, rows: 2, totalMs: 1, maxMs: 1 }];
  expect(costOf(JSON.stringify({ extensions: { taskmed: { sql } } }))?.sql).toEqual(sql);
});

test('only what was chosen is asked for', () => {
  expect(askingHeaders({ plans: false, afresh: false })).toEqual({});
  expect(askingHeaders({ plans: true, afresh: true })).toEqual({
    'X-TaskMed-Explain': 'plans',
    'Cache-Control': 'no-cache',
  });
});

test('the cache’s part is told in a few words', () => {
  expect(cacheWords(undefined)).toBe('not asked');
  expect(cacheWords({ hit: true, tier: 'process', ageMs: 640 })).toBe('hit, in the process, 640 ms old');
  expect(cacheWords({ hit: true, tier: 'redis', ageMs: 61_200 })).toBe('hit, in Redis, 61 s old');
  expect(cacheWords({ hit: false, reason: 'first seen', stored: true })).toBe('first seen; kept now');
  expect(cacheWords({ hit: false, reason: '', stored: false })).toBe('miss');
});

test('figures have as many digits as tell something', () => {
  expect([0, 0.0312, 9.994, 12.34, 345.6].map(duration)).toEqual(['< 0.01', '0.03', '9.99', '12.3', '346']);
  expect([plural(1, 'row'), plural(12_000, 'row')]).toEqual(['1 row', '12,000 rows']);
});

import { expect, test } from 'vitest';
import { extend, nameOf, readable, type Received, type Snapshot, verified } from './inspector/received';

function one(number: number, changes: Partial<Received> = {}): Received {
  return {
    number,
    at: '2026-11-29T13:00:00Z',
    clinic: 'Aurora',
    status: 204,
    signatures: [{ version: 'v1', verified: true, problem: '' }],
    time: 1,
    said: { type: 'contact.created', event: 'CONTACT_CREATED', position: number, entityId: '' },
    headers: [],
    body: '{}',
    ...changes,
  };
}

const told = (run: string, ...received: Received[]): Snapshot => ({ run, clinics: [], received });
const numbers = (snapshot: Snapshot) => snapshot.received.map(({ number }) => number);

test('what comes is put before what came, once, up to 200', () => {
  const first = extend(null, told('a', one(1), one(2)));
  expect(numbers(first)).toEqual([2, 1]);
  expect(numbers(extend(first, told('a', one(2), one(3))))).toEqual([3, 2, 1]);
  expect(extend(first, told('a')).received).toBe(first.received);
  const many = extend(first, told('a', ...Array.from({ length: 250 }, (_, i) => one(i + 3))));
  expect(many.received).toHaveLength(200);
  expect(many.received[0]?.number).toBe(252);
});

test('another start begins anew', () => {
  expect(numbers(extend(extend(null, told('a', one(7))), told('b', one(1))))).toEqual([1]);
});

test('one wrong signature is enough, and so is none', () => {
  expect(verified(one(1))).toBe(true);
  expect(verified(one(1, { signatures: [] }))).toBe(false);
  expect(verified(one(1, { signatures: [...one(1).signatures, { version: 'v1a', verified: false, problem: 'no' }] }))).toBe(false);
});

test('names and bodies are shown whatever they are', () => {
  expect(nameOf(one(1))).toBe('CONTACT_CREATED');
  expect(nameOf(one(1, { said: { type: 'webhook.test', event: '', position: 0, entityId: '' } }))).toBe('webhook.test');
  expect(readable('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(readable('<x>')).toBe('<x>');
});

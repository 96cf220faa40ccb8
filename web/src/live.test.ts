import { expect, test } from 'vitest';
import { listen, readEvents } from './live';

test('events are read whole, comments passed over', () => {
  expect(readEvents('retry: 1000\n\n:\n\nid: a\nevent: next\ndata: {"n": 1}\n\nevent: nex')).toEqual({
    events: [{ id: 'a', event: 'next', data: '{"n": 1}' }],
    rest: 'event: nex',
  });
});

test('who is cut off goes on after the last event, until complete', async () => {
  const asked: (string | null)[] = [];
  const parts = [['id: a\nevent: ne', 'xt\ndata: {"n":1}\n\n'], ['id: b\nevent: next\ndata: {"n":2}\n\nevent: complete\ndata: \n\n']];
  const get = async (_: unknown, init?: RequestInit) => {
    asked.push(new Headers(init?.headers).get('last-event-id'));
    const chunks = (parts.shift() ?? []).map(text => new TextEncoder().encode(text));
    return new Response(new ReadableStream({ start: out => (chunks.forEach(chunk => out.enqueue(chunk)), out.close()) }));
  };
  const told: unknown[] = [];
  for await (const answer of listen('/graphql', { query: 'subscription { a }' }, {}, get as typeof fetch)) {
    told.push(answer);
  }
  expect(told).toEqual([{ n: 1 }, { n: 2 }]);
  expect(asked).toEqual([null, 'a']);
});

test('a refusal is shown', async () => {
  const get = async () => Response.json({ errors: [{ message: 'no' }] }, { status: 403 });
  const answers = listen('/graphql', { query: 'subscription { a }' }, {}, get as unknown as typeof fetch);
  expect(await answers.next()).toEqual({ done: false, value: { errors: [{ message: 'no' }] } });
});

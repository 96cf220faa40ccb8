import { afterEach, expect, test, vi } from 'vitest';
import { cacheOutcome, createFetcher, formatBytes, formatMilliseconds, operationToRun, type Outcome } from './fetcher';

afterEach(() => vi.unstubAllGlobals());

interface Sent {
  headers: Record<string, string>;
  body: { query: string; variables?: Record<string, unknown> };
}

/** A server that knows one contact and writes down what it is sent. */
function serve(): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit) => {
    const request = { headers: init.headers as Record<string, string>, body: JSON.parse(init.body as string) };
    sent.push(request);
    const data = request.body.query.includes('PlaygroundClinic') ? { contacts: { nodes: [{ id: 'contact_1' }] } } : {};
    return new Response(JSON.stringify({ data, extensions: { taskmed: { statements: 2, cost: 31 } } }), {
      headers: { 'content-type': 'application/json', 'cache-status': 'taskmed; fwd=miss; detail=new', 'x-request-id': 'r1' },
    });
  });
  return sent;
}

const mine = { Authorization: 'Bearer mine' };

test('a tab’s own headers decide; an empty editor means the session’s', async () => {
  const sent = serve();
  const fetcher = createFetcher('/graphql', mine, () => {});
  await fetcher({ query: '{ a }' }, { headers: { Authorization: 'Bearer other' } });
  await fetcher({ query: '{ a }' }, { headers: {} });
  await fetcher({ query: '{ a }' }, {});
  expect(sent.map(request => request.headers.Authorization)).toEqual(['Bearer other', undefined, 'Bearer mine']);
  expect(sent[0]?.headers['apollographql-client-name']).toBe('taskmed-playground');
});

test('the schema is asked for as the session', async () => {
  const sent = serve();
  await createFetcher('/graphql', mine, () => {})({ query: '{ __schema { x } }', operationName: 'IntrospectionQuery' }, {});
  expect(sent[0]?.headers.Authorization).toBe('Bearer mine');
});

test('placeholders that are left are filled in on the way', async () => {
  const sent = serve();
  const fetcher = createFetcher('/graphql', mine, () => {});
  await fetcher({ query: '{ a }', variables: { id: '{{contactId}}' } }, {});
  await fetcher({ query: '{ b }', variables: { id: '{{contactId}}' } }, {});
  expect(sent.map(request => request.body.variables?.id ?? 'lookup')).toEqual(['lookup', 'contact_1', 'contact_1']);
});

test('an answer is measured', async () => {
  serve();
  const outcome = await new Promise<Outcome>(done => {
    void createFetcher('/graphql', mine, done)({ query: '{ a }' }, {});
  });
  expect(outcome).toMatchObject({ status: 200, bytes: 63, cache: 'miss', requestId: 'r1', details: { statements: 2, cost: 31 } });
});

test('what the footer says', () => {
  expect(cacheOutcome('taskmed; hit')).toBe('hit');
  expect(cacheOutcome('taskmed; fwd=bypass; detail=mutation')).toBe('bypass');
  expect(cacheOutcome(null)).toBe('');
  expect(formatBytes(999)).toBe('999 B');
  expect(formatBytes(16_384)).toBe('16.4 kB');
  expect(formatBytes(420_000)).toBe('420 kB');
  expect(formatMilliseconds(2.34)).toBe('2.3 ms');
  expect(formatMilliseconds(43.7)).toBe('44 ms');
});

test('the operation of the tab before is not asked for', () => {
  expect(operationToRun('query Viewer { a }', 'DayView')).toBe('Viewer');
  expect(operationToRun('{ a }', 'DayView')).toBeUndefined();
  expect(operationToRun('query A { a } query B { b }', 'B')).toBe('B');
  expect(operationToRun('query A { a } query B { b }', 'C')).toBe('C');
  expect(operationToRun('query {', 'DayView')).toBe('DayView');
  expect(operationToRun('query Viewer { a }', null)).toBeUndefined();
});

test('what the panel asks for goes with whatever is run, but not with the schema’s request', async () => {
  const sent = serve();
  const fetcher = createFetcher('/graphql', mine, () => {}, () => ({ 'X-TaskMed-Explain': 'plans' }));
  await fetcher({ query: '{ a }' }, { headers: {} });
  await fetcher({ query: '{ a }', operationName: 'IntrospectionQuery' }, {});
  expect(sent.map(request => request.headers['X-TaskMed-Explain'])).toEqual(['plans', undefined]);
});

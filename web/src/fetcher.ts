import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { Kind, parse } from 'graphql';
import { type Cost, costOf } from './cost';
import { listen } from './live';
import { fetchValues, hasPlaceholders, resolve, type Run, type Values } from './values';

/** What the last answer's status line says about it. */
export interface Outcome {
  status: number;
  /** From the request's start to the answer's last byte. */
  milliseconds: number;
  bytes: number;
  /** What Cache-Status (RFC 9211) says: "hit", "miss", "bypass", ...; "" without that header. */
  cache: string;
  requestId: string;
  /** What the server tells a developer. */
  details?: Cost;
}

const CLIENT = { 'apollographql-client-name': 'taskmed-playground' };

/** Runs one operation outside of the tabs, for the page's own needs. */
export function runner(endpoint: string, headers: Record<string, string>): Run {
  return async (query, variables) => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json, application/json;q=0.9',
        ...CLIENT,
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
    });
    return response.json();
  };
}

/**
 * The fetcher behind every tab. The tab's own headers decide, {} included: that
 * is how a request without a token is tried. An empty editor means the session's,
 * and so does the request for the schema, which is sent before a tab is open.
 * asking gives further headers, which are sent with whatever is run in a tab.
 */
export function createFetcher(
  endpoint: string,
  headers: Record<string, string>,
  report: (outcome: Outcome) => void,
  asking: () => Record<string, string> = () => ({}),
): Fetcher {
  const send = createGraphiQLFetcher({
    url: endpoint,
    headers: CLIENT,
    // The server answers in one piece, and its status codes are those of
    // application/graphql-response+json.
    enableIncrementalDelivery: false,
    fetch: async (input, init) => {
      const begun = performance.now();
      const response = await fetch(input, init);
      if (!isSchemaRequest(init)) {
        void measure(response.clone(), begun).then(report);
      }
      return response;
    },
  });
  const late = new Map<string, Promise<Values>>();

  return async (params, options) => {
    if (params.operationName === 'IntrospectionQuery') {
      return send(params, { ...options, headers: { ...headers, ...options?.headers } });
    }
    const operationName = operationToRun(params.query, params.operationName);
    const mine = (options?.headers ?? headers) as Record<string, string>;
    const text = JSON.stringify(params.variables ?? {});
    if (subscribes(params.query, operationName)) {
      return listen(endpoint, { ...params, operationName }, { ...CLIENT, ...mine });
    }
    if (!hasPlaceholders(text)) {
      return send({ ...params, operationName }, { ...options, headers: { ...asking(), ...mine } });
    }
    // The page opened without a session; now that there are headers, the
    // examples' ids can be had.
    const key = JSON.stringify(mine);
    const values = late.get(key) ?? fetchValues(runner(endpoint, mine), new Date());
    late.set(key, values);
    const variables = JSON.parse(resolve(text, await values)) as Record<string, unknown>;
    return send({ ...params, operationName, variables }, { ...options, headers: { ...asking(), ...mine } });
  };
}

/**
 * GraphiQL reads a tab's operation name a moment after the tab has changed. Who
 * runs it sooner would ask for the operation of the tab before.
 */
export function operationToRun(query: string, asked: string | null | undefined): string | undefined {
  try {
    const names = parse(query)
      .definitions.filter(definition => definition.kind === Kind.OPERATION_DEFINITION)
      .map(definition => definition.name?.value);
    return asked && !names.includes(asked) && names.length === 1 ? names[0] : (asked ?? undefined);
  } catch {
    return asked ?? undefined; // The server says what is wrong with it.
  }
}

/** Whether the operation to run is a subscription. */
export function subscribes(query: string, operationName?: string): boolean {
  try {
    return parse(query).definitions.some(
      definition =>
        definition.kind === Kind.OPERATION_DEFINITION &&
        definition.operation === 'subscription' &&
        (!operationName || definition.name?.value === operationName),
    );
  } catch {
    return false; // The server says what is wrong with it.
  }
}

function isSchemaRequest(init?: RequestInit): boolean {
  return typeof init?.body === 'string' && init.body.includes('"operationName":"IntrospectionQuery"');
}

async function measure(response: Response, begun: number): Promise<Outcome> {
  const body = await response.arrayBuffer();
  return {
    details: costOf(new TextDecoder().decode(body)),
    status: response.status,
    milliseconds: performance.now() - begun,
    bytes: body.byteLength,
    cache: cacheOutcome(response.headers.get('cache-status')),
    requestId: response.headers.get('x-request-id') ?? '',
  };
}

export function cacheOutcome(header: string | null): string {
  const [, ...parameters] = (header ?? '').split(';').map(part => part.trim());
  const fate = parameters.find(part => part === 'hit' || part.startsWith('fwd=')) ?? '';
  return fate.replace('fwd=', '');
}

export function formatBytes(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB`;
}

export function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

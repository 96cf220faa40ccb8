import type { FetcherParams, FetcherReturnType } from '@graphiql/toolkit';

/** How long to wait before going on, in milliseconds. */
const PAUSE = 1000;

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/** Takes whole events off the front of a text of Server-Sent Events; rest is what is left. */
export function readEvents(text: string): { events: ServerEvent[]; rest: string } {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  const events: ServerEvent[] = [];
  for (const block of blocks) {
    const found: ServerEvent = { id: '', event: '', data: '' };
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      const name = line.slice(0, colon);
      if (colon > 0 && (name === 'id' || name === 'event' || name === 'data')) {
        found[name] = line.slice(colon + 2);
      }
    }
    if (found.event !== '') {
      events.push(found);
    }
  }
  return { events, rest };
}

type Result = Awaited<Exclude<FetcherReturnType, AsyncIterable<unknown>>>;

/**
 * Subscribes by Server-Sent Events until whoever iterates lets go of it. Where the
 * connection is cut it goes on after the last event.
 */
export function listen(endpoint: string, params: FetcherParams, headers: Record<string, string>, get: typeof fetch = fetch): AsyncIterableIterator<Result> {
  const abort = new AbortController();
  const answers = run(endpoint, params, headers, get, abort.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => answers.next() as Promise<IteratorResult<Result>>,
    return: async () => {
      abort.abort(); // the generator itself may be waiting for the server
      return { done: true, value: undefined };
    },
  };
}

async function* run(endpoint: string, params: FetcherParams, headers: Record<string, string>, get: typeof fetch, signal: AbortSignal): AsyncGenerator<unknown> {
  let last = '';
  while (!signal.aborted) {
    try {
      const response = await get(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers, ...(last && { 'last-event-id': last }) },
        body: JSON.stringify(params),
        signal,
      });
      if (!response.ok || !response.body) {
        if (response.status !== 503) {
          yield await response.json();
          return;
        }
      } else {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let text = ''; ; ) {
          const { done, value } = await reader.read();
          if (done) {
            break;
          }
          const { events, rest } = readEvents(text + value);
          text = rest;
          for (const { id, event, data } of events) {
            if (event === 'complete') {
              return;
            }
            last = id || last;
            yield JSON.parse(data);
          }
        }
      }
    } catch (fault) {
      if (signal.aborted) {
        return;
      }
      if (last === '') {
        throw fault;
      }
    }
    await new Promise(go => setTimeout(go, PAUSE));
  }
}

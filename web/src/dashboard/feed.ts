import { useEffect, useState } from 'react';
import { extend } from './figures';
import type { Snapshot } from './snapshot';

export interface Feed {
  /** lost: nothing comes, and the browser tries again by itself. */
  state: 'opening' | 'live' | 'lost';
  /** The last hour, the oldest first. */
  history: Snapshot[];
}

/** Nothing for so long, and the figures are not live, whatever the connection says. */
const SILENCE = 20_000;

/** The last hour, and what comes. After a break the hour is fetched anew, so that no gap stays. */
export function useFeed(): Feed {
  const [feed, setFeed] = useState<Feed>({ state: 'opening', history: [] });
  useEffect(() => {
    let closed = false;
    let silence = 0;
    const lost = () => setFeed(before => ({ ...before, state: 'lost' }));
    const heard = () => {
      window.clearTimeout(silence);
      silence = window.setTimeout(lost, SILENCE);
    };
    const events = new EventSource('/dashboard/events');
    events.onopen = () => {
      heard();
      fetchHistory().then(
        history => {
          if (!closed) {
            setFeed(before => ({ state: 'live', history: before.history.reduce(extend, history) }));
          }
        },
        () => undefined, // Then the connection breaks, too, and opens again.
      );
    };
    events.onmessage = message => {
      heard();
      const snapshot = JSON.parse(message.data as string) as Snapshot;
      setFeed(before => ({ state: 'live', history: extend(before.history, snapshot) }));
    };
    events.onerror = lost;
    return () => {
      closed = true;
      window.clearTimeout(silence);
      events.close();
    };
  }, []);
  return feed;
}

async function fetchHistory(): Promise<Snapshot[]> {
  const response = await fetch('/dashboard/history.json');
  if (!response.ok) {
    throw new Error(`history: ${response.status}`);
  }
  return (await response.json()) as Snapshot[];
}

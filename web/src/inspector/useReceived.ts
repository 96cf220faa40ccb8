import { useEffect, useState } from 'react';
import { extend, type Snapshot } from './received';

export interface Feed {
  state: 'opening' | 'live' | 'lost';
  snapshot: Snapshot | null;
}

const EVERY = 1000;
const PATIENCE = 5000;

/** What came, the newest first; asked for each second. */
export function useReceived(): Feed {
  const [feed, setFeed] = useState<Feed>({ state: 'opening', snapshot: null });
  useEffect(() => {
    let closed = false;
    let timer = 0;
    let known: Snapshot | null = null;
    const look = async () => {
      try {
        known = await ask(known);
        if (!closed) {
          setFeed({ state: 'live', snapshot: known });
        }
      } catch {
        if (!closed) {
          setFeed({ state: 'lost', snapshot: known });
        }
      }
      if (!closed) {
        timer = window.setTimeout(look, EVERY);
      }
    };
    void look();
    return () => {
      closed = true;
      window.clearTimeout(timer);
    };
  }, []);
  return feed;
}

async function ask(known: Snapshot | null): Promise<Snapshot> {
  const now = await fetchSince(known?.received[0]?.number ?? 0);
  if (known && known.run !== now.run) {
    return extend(null, await fetchSince(0)); // Numbers began anew.
  }
  // The same one where nothing came: nothing is drawn anew.
  return known && now.received.length === 0 ? known : extend(known, now);
}

async function fetchSince(after: number): Promise<Snapshot> {
  const response = await fetch(`/webhooks/received.json?after=${after}`, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) {
    throw new Error(`received: ${response.status}`);
  }
  return (await response.json()) as Snapshot;
}

import { useSyncExternalStore } from 'react';
import { formatBytes, formatMilliseconds, type Outcome } from './fetcher';

/** The last outcome, outside of React: the fetcher reports it, the footer shows it. */
export interface OutcomeStore {
  get: () => Outcome | null;
  set: (outcome: Outcome) => void;
  subscribe: (changed: () => void) => () => void;
}

export function createOutcomeStore(): OutcomeStore {
  let outcome: Outcome | null = null;
  const listeners = new Set<() => void>();
  return {
    get: () => outcome,
    set(next) {
      outcome = next;
      listeners.forEach(listener => listener());
    },
    subscribe(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
  };
}

export function ResponseFooter({ store }: { store: OutcomeStore }) {
  const outcome = useSyncExternalStore(store.subscribe, store.get);
  if (!outcome) {
    return <p className="outcome">Not run yet</p>;
  }
  return (
    <p className="outcome" aria-live="polite">
      <span className={outcome.status < 400 ? 'status ok' : 'status bad'}>{outcome.status}</span>
      <span>{formatMilliseconds(outcome.milliseconds)}</span>
      <span>{formatBytes(outcome.bytes)}</span>
      {outcome.statements !== undefined && (
        <span>
          {outcome.statements} SQL {outcome.statements === 1 ? 'statement' : 'statements'}
        </span>
      )}
      {outcome.cost !== undefined && <span>cost {outcome.cost}</span>}
      {outcome.cache && <span>cache {outcome.cache}</span>}
      {outcome.requestId && (
        <span className="request-id" title="X-Request-Id: look for it in the server's log">
          {outcome.requestId}
        </span>
      )}
    </p>
  );
}

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

interface Props {
  store: OutcomeStore;
  /** Whether the panel beside the answer is open, and how to open or close it. */
  open: boolean;
  onOpen: (open: boolean) => void;
}

export function ResponseFooter({ store, open, onOpen }: Props) {
  const outcome = useSyncExternalStore(store.subscribe, store.get);
  return (
    <div className="outcome">
      <p aria-live="polite">{outcome ? <Facts outcome={outcome} /> : 'Not run yet'}</p>
      <button type="button" className="cost-button" aria-expanded={open} onClick={() => onOpen(!open)}>
        What it cost
      </button>
    </div>
  );
}

function Facts({ outcome }: { outcome: Outcome }) {
  const { details } = outcome;
  return (
    <>
      <span className={outcome.status < 400 ? 'status ok' : 'status bad'}>{outcome.status}</span>
      <span>{formatMilliseconds(outcome.milliseconds)}</span>
      <span>{formatBytes(outcome.bytes)}</span>
      {details && (
        <span>
          {details.statements} SQL {details.statements === 1 ? 'statement' : 'statements'}
        </span>
      )}
      {details && <span>cost {details.cost}</span>}
      {outcome.cache && <span>cache {outcome.cache}</span>}
      {outcome.requestId && (
        <span className="request-id" title="X-Request-Id: look for it in the server's log">
          {outcome.requestId}
        </span>
      )}
    </>
  );
}

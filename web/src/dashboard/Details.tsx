import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { ms, whole } from './figures';
import { Meter } from './Meter';
import type { Share } from './snapshot';

/**
 * What of a list is open, by name: one at a time. What was opened stays in the
 * list when it is no longer among the slowest.
 */
export function useOpened<T>(items: T[], nameOf: (item: T) => string) {
  const [opened, setOpened] = useState('');
  const kept = useRef<T | null>(null);
  const found = items.find(item => nameOf(item) === opened);
  if (found) {
    kept.current = found;
  }
  const missing = !found && kept.current && nameOf(kept.current) === opened ? [kept.current] : [];
  return {
    shown: [...items, ...missing],
    isOpen: (item: T) => nameOf(item) === opened,
    toggle: (item: T) => setOpened(opened === nameOf(item) ? '' : nameOf(item)),
  };
}

/** The name of a row, which opens it. */
export function Opener({ open, onToggle, children }: { open: boolean; onToggle: () => void; children: ReactNode }) {
  return (
    <button type="button" className="opener" aria-expanded={open} onClick={onToggle}>
      <Arrow />
      {children}
    </button>
  );
}

export function Shares({ title, shares, none }: { title: string; shares: Share[]; none: string }) {
  const total = shares.reduce((sum, share) => sum + share.totalMs, 0);
  return (
    <section className="shares">
      <h3>{title}</h3>
      {shares.length === 0 && <p className="none">{none}</p>}
      <ol>
        {shares.map(share => (
          <li key={share.name}>
            <code>{share.name}</code>
            <Meter share={total > 0 ? share.totalMs / total : 0} />
            <span className="cost">
              {ms(share.totalMs)} in {whole(share.count)} {share.count === 1 ? 'call' : 'calls'}, {ms(share.meanMs)} each
            </span>
            {share.statement && <Plan statement={share.statement} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Postgres' plan for a statement, asked for when it is opened. */
export function Plan({ statement }: { statement: string }) {
  const [open, setOpen] = useState(false);
  const [plan, setPlan] = useState('');
  const id = useId();
  useEffect(() => {
    if (!open || plan) {
      return;
    }
    const leaving = new AbortController();
    fetchPlan(statement, leaving.signal).then(setPlan, () => {
      if (!leaving.signal.aborted) {
        setPlan('Postgres gives no plan for this statement just now.');
      }
    });
    return () => leaving.abort();
  }, [open, plan, statement]);
  return (
    <>
      <button
        type="button"
        className="plan-toggle"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => {
          setOpen(!open);
          setPlan('');
        }}
      >
        {open ? 'Hide plan' : 'Plan'}
      </button>
      {open && (
        // A long plan is scrolled by the keyboard, too.
        <pre id={id} className="plan" tabIndex={0} aria-label="Plan" aria-busy={!plan}>
          {plan || 'Asking Postgres…'}
        </pre>
      )}
    </>
  );
}

async function fetchPlan(statement: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(`/dashboard/plan.json?statement=${encodeURIComponent(statement)}`, { signal });
  if (!response.ok) {
    throw new Error(`plan: ${response.status}`);
  }
  return ((await response.json()) as { plan: string }).plan;
}

function Arrow() {
  return (
    <svg className="arrow" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d="m6 3.5 4.5 4.5L6 12.5" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

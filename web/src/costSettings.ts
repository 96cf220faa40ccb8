import { useCallback, useRef, useState } from 'react';
import { type Asks, askingHeaders } from './cost';

const KEY = 'taskmed:cost';

/** Whether the panel is open, and whether plans are asked for, outlive the page. */
interface Kept {
  open: boolean;
  plans: boolean;
}

function kept(): Kept {
  try {
    return { open: false, plans: false, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Kept>) };
  } catch {
    return { open: false, plans: false };
  }
}

export interface CostPanelState {
  open: boolean;
  setOpen: (open: boolean) => void;
  asks: Asks;
  setAsks: (asks: Asks) => void;
  /** The headers of the next run; nothing is asked for while the panel is closed. */
  asking: () => Record<string, string>;
}

export function useCostPanel(): CostPanelState {
  const [open, setOpen] = useState(() => kept().open);
  const [asks, setAsks] = useState<Asks>(() => ({ plans: kept().plans, afresh: false }));
  const now = useRef({ open, asks });
  const change = (next: { open: boolean; asks: Asks }) => {
    now.current = next;
    setOpen(next.open);
    setAsks(next.asks);
    localStorage.setItem(KEY, JSON.stringify({ open: next.open, plans: next.asks.plans } satisfies Kept));
  };
  return {
    open,
    setOpen: next => change({ open: next, asks }),
    asks,
    setAsks: next => change({ open, asks: next }),
    asking: useCallback(() => (now.current.open ? askingHeaders(now.current.asks) : {}), []),
  };
}

import type { Count, Snapshot } from './snapshot';

/** The thresholds that operators know: deploy/prometheus has the same. */
export const LIMITS = { responseMs: 100, errors: 0.02, memory: 0.85, cacheHits: 0.8, busy: 0.8 };

export const seconds = (snapshot: Snapshot) => Date.parse(snapshot.at) / 1000;

/** The snapshots of the last so many minutes, counted from the latest. */
export function recent(history: Snapshot[], minutes: number): Snapshot[] {
  const last = history.at(-1);
  if (!last) {
    return [];
  }
  const from = seconds(last) - minutes * 60;
  return history.filter(snapshot => seconds(snapshot) > from);
}

/** Adds a snapshot that is newer than all, and drops what is older than an hour. */
export function extend(history: Snapshot[], next: Snapshot): Snapshot[] {
  const last = history.at(-1);
  if (last && seconds(next) <= seconds(last)) {
    return history;
  }
  return recent([...history, next], 60);
}

export type Reading = (snapshot: Snapshot) => number | null;
export type Table = [number[], ...(number | null)[][]];

/**
 * Columns for a chart: times, then a column per figure. Where snapshots are
 * missing (the server was down) there is a null, so that no line is drawn.
 */
export function columns(history: Snapshot[], picks: Reading[]): Table {
  const times: number[] = [];
  const values: (number | null)[][] = picks.map(() => []);
  let before: Snapshot | undefined;
  for (const snapshot of history) {
    const at = seconds(snapshot);
    if (before && at - seconds(before) > 3 * snapshot.intervalSeconds) {
      times.push(seconds(before) + snapshot.intervalSeconds);
      for (const column of values) {
        column.push(null);
      }
    }
    times.push(at);
    picks.forEach((pick, i) => values[i]?.push(pick(snapshot)));
    before = snapshot;
  }
  return [times, ...values];
}

const sum = (history: Snapshot[], pick: (snapshot: Snapshot) => number) =>
  history.reduce((total, snapshot) => total + pick(snapshot), 0);

export interface Minute {
  perSecond: number;
  count: number;
  failed: number;
  refused: number;
  errorRate: number;
  hitRate: number | null;
  missesBy: Count[];
  refusedBy: Count[];
}

/** What the last minute comes to. */
export function lastMinute(history: Snapshot[]): Minute {
  const minute = recent(history, 1);
  const length = sum(minute, s => s.intervalSeconds);
  const count = sum(minute, s => s.requests.count);
  const failed = sum(minute, s => s.requests.failed);
  const hits = sum(minute, s => s.cache.hits);
  const misses = sum(minute, s => s.cache.misses);
  return {
    perSecond: length > 0 ? count / length : 0,
    count,
    failed,
    refused: sum(minute, s => s.requests.refused),
    errorRate: count > 0 ? failed / count : 0,
    hitRate: hits + misses > 0 ? hits / (hits + misses) : null,
    missesBy: merged(minute.map(s => s.cache.missesBy ?? [])),
    refusedBy: merged(minute.map(s => s.requests.refusedBy ?? [])),
  };
}

function merged(lists: Count[][]): Count[] {
  const counts = new Map<string, number>();
  for (const { name, count } of lists.flat()) {
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
}

const NONE = '–';

export function ms(value: number | null | undefined): string {
  if (value == null) {
    return NONE;
  }
  if (value >= 1000) {
    return `${(value / 1000).toFixed(value >= 10_000 ? 1 : 2)} s`;
  }
  if (value > 0 && value < 0.005) {
    return '<0.01 ms';
  }
  return value === 0 ? '0 ms' : `${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

export function percent(ratio: number | null | undefined): string {
  if (ratio == null) {
    return NONE;
  }
  const value = ratio * 100;
  return `${value === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(value < 10 ? 2 : 1)} %`;
}

export function rate(value: number): string {
  return value >= 100 || value === 0 ? Math.round(value).toLocaleString('en') : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export const whole = (value: number) => Math.round(value).toLocaleString('en');

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (value >= 1024 && i < units.length - 1) {
    value /= 1024;
    i += 1;
  }
  return `${value >= 100 || i === 0 ? Math.round(value) : value.toFixed(1)} ${units[i]}`;
}

export function span(total: number): string {
  const s = Math.max(0, Math.round(total));
  if (s < 60) {
    return `${s} s`;
  }
  if (s < 3600) {
    return `${Math.floor(s / 60)} min`;
  }
  return s < 86_400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86_400)} d`;
}

export function inUnit(value: number, unit: string): string {
  return unit === 'ms' ? ms(value) : unit === 's' ? span(value) : unit === 'times' ? `${whole(value)} times` : unit === 'ratio' ? percent(value) : unit === 'up' ? (value > 0 ? 'up' : 'down') : String(value);
}

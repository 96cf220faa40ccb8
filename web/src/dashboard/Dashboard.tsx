import { useEffect, useMemo, useState } from 'react';
import { MoonIcon, Mark, SunIcon, SystemIcon } from '../icons';
import { nextTheme, type Theme, type ThemeChoice, useTheme } from '../theme';
import { Alerts } from './Alerts';
import { Chart, type Line } from './Chart';
import { type Feed, useFeed } from './feed';
import { bytes, LIMITS, lastMinute, ms, percent, rate, recent, seconds, span } from './figures';
import { Bars, Clinics, Fields, Statements } from './lists';
import { Operations } from './Operations';
import { Health } from './Health';
import type { Snapshot } from './snapshot';
import { Tile } from './Tile';

const RANGES = [5, 15, 60];
const RANGE_KEY = 'taskmed:dashboard:minutes';

const REQUESTS: Line[] = [
  { label: 'requests', color: '--series-1', pick: s => s.requests.perSecond, fill: true },
  { label: 'refused', color: '--series-2', pick: s => s.requests.refused / s.intervalSeconds },
  { label: 'failed', color: '--bad', pick: s => s.requests.failed / s.intervalSeconds },
];
const LATENCY: Line[] = [
  { label: 'p50', color: '--rank-1', pick: s => busy(s, s.requests.p50Ms) },
  { label: 'p95', color: '--rank-2', pick: s => busy(s, s.requests.p95Ms) },
  { label: 'p99', color: '--rank-3', pick: s => busy(s, s.requests.p99Ms) },
];
const CACHE: Line[] = [{ label: 'hits', color: '--series-1', pick: s => s.cache.hitRate, fill: true }];
const ERRORS: Line[] = [{ label: 'failed', color: '--bad', pick: s => busy(s, s.requests.errorRate), fill: true }];
const USE: Line[] = [
  { label: 'pool', color: '--series-1', pick: s => s.pool.utilization },
  { label: 'CPU', color: '--series-2', pick: s => s.process.cpu },
  { label: 'memory', color: '--series-3', pick: s => s.process.memory },
];
const HEAP: Line[] = [
  { label: 'resident', color: '--series-1', pick: s => s.process.memoryBytes, fill: true },
  { label: 'heap', color: '--series-2', pick: s => s.process.heapBytes },
];
const GC: Line[] = [{ label: 'longest pause', color: '--series-3', pick: s => (s.process.gcs > 0 ? s.process.gcPauseMs : null) }];
const SERVERS: Line[] = [
  { label: 'Postgres', color: '--series-1', pick: s => (s.postgres.up ? s.postgres.latencyMs : null) },
  { label: 'Redis', color: '--series-2', pick: s => (s.redis.up ? s.redis.latencyMs : null) },
];

/** 64 KiB to 64 GiB. */
const BINARY = Array.from({ length: 21 }, (_, i) => 2 ** (16 + i));

const SLOW = { at: LIMITS.responseMs, label: '100 ms at p95' };
const FAILED = { at: LIMITS.errors, label: '2 %' };
const HITS = { at: LIMITS.cacheHits, label: '80 %' };
const BUSY = { at: LIMITS.busy, label: '80 %' };

/** There is no latency where there was no request. */
function busy(snapshot: Snapshot, value: number): number | null {
  return snapshot.requests.count > 0 ? value : null;
}

export function Dashboard() {
  const feed = useFeed();
  const [choice, theme, setChoice] = useTheme();
  const [minutes, setMinutes] = useState(storedRange);
  useEffect(() => localStorage.setItem(RANGE_KEY, String(minutes)), [minutes]);
  return (
    <>
      <TopBar feed={feed} minutes={minutes} onMinutes={setMinutes} theme={choice} onTheme={setChoice} />
      <main className={`board ${feed.state}`} data-state={feed.state}>
        {feed.history.length === 0 ? (
          <p className="waiting" role="status">
            {feed.state === 'lost' ? 'The server does not answer. This page tries again by itself.' : 'Waiting for the first figures…'}
          </p>
        ) : (
          <Board history={feed.history} minutes={minutes} theme={theme} />
        )}
      </main>
    </>
  );
}

function storedRange(): number {
  const kept = Number(localStorage.getItem(RANGE_KEY));
  return RANGES.includes(kept) ? kept : 15;
}

function Board({ history, minutes, theme }: { history: Snapshot[]; minutes: number; theme: Theme }) {
  const shown = useMemo(() => recent(history, minutes), [history, minutes]);
  const latest = history.at(-1) as Snapshot;
  const minute = useMemo(() => lastMinute(history), [history]);
  const chart = { history: shown, minutes, theme };
  const served = minute.count > 0;
  return (
    <>
      <Alerts alerts={latest.alerts} at={latest.at} />
      <section className="tiles" aria-label="Now">
        <Tile name="Requests" value={`${rate(minute.perSecond)}/s`} note={`${latest.requests.inFlight} in flight`} history={shown} pick={s => s.requests.perSecond} />
        <Tile
          name="Errors"
          value={served ? percent(minute.errorRate) : '–'}
          note={`${minute.failed} failed, ${minute.refused} refused in a minute`}
          wrong={minute.errorRate > LIMITS.errors && 'over its limit'}
          history={shown}
          pick={s => s.requests.errorRate}
        />
        <Tile
          name="Response p95"
          value={latest.requests.count > 0 ? ms(latest.requests.p95Ms) : '–'}
          note={latest.requests.count > 0 ? `p50 ${ms(latest.requests.p50Ms)}, p99 ${ms(latest.requests.p99Ms)}` : 'no request just now'}
          wrong={latest.requests.p95Ms > LIMITS.responseMs && 'over its limit'}
          history={shown}
          pick={s => s.requests.p95Ms}
        />
        <Tile
          name="Cache hits"
          value={percent(minute.hitRate)}
          note={minute.hitRate == null ? 'no cacheable read' : 'of cacheable reads in a minute'}
          wrong={minute.hitRate != null && minute.hitRate < LIMITS.cacheHits && 'under its limit'}
          history={shown}
          pick={s => s.cache.hitRate ?? 0}
        />
        <Tile
          name="Pool"
          value={percent(latest.pool.utilization)}
          note={`${latest.pool.inUse} of ${latest.pool.max} in use, ${latest.pool.waits} waits`}
          wrong={latest.pool.utilization > LIMITS.busy && 'over its limit'}
          history={shown}
          pick={s => s.pool.utilization}
        />
        <Tile
          name="Memory"
          value={bytes(latest.process.memoryBytes)}
          note={`${percent(latest.process.memory)} of ${bytes(latest.process.memoryLimitBytes)}`}
          wrong={latest.process.memory > LIMITS.memory && 'over its limit'}
          history={shown}
          pick={s => s.process.memoryBytes}
        />
      </section>
      <section className="charts" aria-label="Over time">
        <Chart title="Requests per second" lines={REQUESTS} format={rate} {...chart} />
        <Chart title="Response time" lines={LATENCY} format={ms} limit={SLOW} {...chart} />
        <Chart title="Errors" lines={ERRORS} format={percent} limit={FAILED} {...chart} />
        <Chart title="Cache hits" lines={CACHE} format={percent} limit={HITS} top={1} {...chart} />
        <Chart title="Pool, CPU, memory" lines={USE} format={percent} limit={BUSY} top={1} {...chart} />
        <Chart title="Memory" lines={HEAP} format={bytes} steps={BINARY} {...chart} />
        <Chart title="Garbage collection" lines={GC} format={ms} {...chart} />
        <Chart title="Postgres and Redis" lines={SERVERS} format={ms} {...chart} />
        <Health snapshot={latest} />
      </section>
      <section className="lists" aria-label="The last minute">
        <Operations operations={latest.slowOperations ?? []} />
        <Fields fields={latest.slowFields ?? []} operations={latest.slowOperations ?? []} />
        <Statements statements={latest.slowStatements ?? []} />
        <Clinics clinics={latest.clinics ?? []} />
        <div className="stack">
          <Bars title="Cache misses by reason" none="no miss in the last minute" counts={minute.missesBy} />
          <Bars title="Errors and refusals by code" none="none in the last minute" counts={minute.refusedBy} />
        </div>
      </section>
    </>
  );
}

interface BarProps {
  feed: Feed;
  minutes: number;
  onMinutes: (minutes: number) => void;
  theme: ThemeChoice;
  onTheme: (choice: ThemeChoice) => void;
}

const STATES = { opening: 'Connecting', live: 'Live', lost: 'No connection' };
const THEME_ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };

function TopBar({ feed, minutes, onMinutes, theme, onTheme }: BarProps) {
  const ThemeIcon = THEME_ICONS[theme];
  const latest = feed.history.at(-1);
  return (
    <header className="topbar">
      <h1 className="brand">
        <Mark />
        <span className="brand-name">TaskMed</span>
        <span className="brand-part">Dashboard</span>
      </h1>
      <p className={`state ${feed.state}`} role="status">
        {STATES[feed.state]}
        {feed.state === 'lost' && latest ? <Since at={seconds(latest)} /> : null}
      </p>
      {latest && <p className="uptime">up {span(latest.process.uptimeSeconds)}</p>}
      <fieldset className="ranges">
        <legend>Time shown</legend>
        {RANGES.map(choice => (
          <label key={choice}>
            <input type="radio" name="minutes" value={choice} checked={choice === minutes} onChange={() => onMinutes(choice)} />
            <span>{choice === 60 ? '1 h' : `${choice} min`}</span>
          </label>
        ))}
      </fieldset>
      <button
        type="button"
        className="theme-toggle"
        aria-label={`Theme: ${theme}. Switch to ${nextTheme(theme)}.`}
        title={`Theme: ${theme}`}
        onClick={() => onTheme(nextTheme(theme))}
      >
        <ThemeIcon />
      </button>
    </header>
  );
}

/** Tells how old the figures are, by this machine's clock. */
function Since({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now() / 1000);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return <> for {span(now - at)}</>;
}

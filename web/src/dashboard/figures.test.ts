import { describe, expect, it } from 'vitest';
import { bytes, columns, extend, lastMinute, ms, percent, recent, span } from './figures';
import type { Snapshot } from './snapshot';

/** A snapshot at so many seconds, with what a test is about. */
function at(second: number, parts: { count?: number; failed?: number; hits?: number; misses?: number; by?: [string, number][] } = {}): Snapshot {
  return {
    at: new Date(1_700_000_000_000 + second * 1000).toISOString(),
    intervalSeconds: 5,
    requests: { count: parts.count ?? 0, failed: parts.failed ?? 0, refused: 0, refusedBy: null, p50Ms: second },
    cache: {
      hits: parts.hits ?? 0,
      misses: parts.misses ?? 0,
      missesBy: (parts.by ?? []).map(([name, count]) => ({ name, count })),
    },
  } as unknown as Snapshot;
}

describe('history', () => {
  it('keeps an hour and takes nothing twice', () => {
    let history: Snapshot[] = [];
    for (let second = 0; second <= 4000; second += 5) {
      history = extend(history, at(second));
    }
    expect(history).toHaveLength(720);
    expect(extend(history, at(4000))).toBe(history);
    expect(recent(history, 1)).toHaveLength(12);
  });

  it('draws no line over what is missing', () => {
    const [times, values] = columns([at(0), at(5), at(60), at(65)], [s => s.requests.p50Ms]);
    expect(times).toHaveLength(5);
    expect(values).toEqual([0, 5, null, 60, 65]);
  });
});

describe('the last minute', () => {
  it('sums what came', () => {
    const history = [at(0, { count: 1000 }), at(61, { count: 90, failed: 1, hits: 3, misses: 1, by: [['cold', 1]] })];
    history.push(at(66, { count: 10, failed: 1, by: [['cold', 2], ['changed', 5]] }));
    const minute = lastMinute(history);
    expect(minute.perSecond).toBe(10);
    expect(minute.errorRate).toBe(0.02);
    expect(minute.hitRate).toBe(0.75);
    expect(minute.missesBy).toEqual([{ name: 'changed', count: 5 }, { name: 'cold', count: 3 }]);
  });

  it('has no hit rate where nothing was read', () => {
    expect(lastMinute([at(0)]).hitRate).toBeNull();
    expect(lastMinute([]).perSecond).toBe(0);
  });
});

it('writes figures with their units', () => {
  expect([ms(0), ms(0.002), ms(0.5), ms(12.34), ms(250.4), ms(1500), ms(12_000), ms(null)]).toEqual([
    '0 ms',
    '<0.01 ms',
    '0.50 ms',
    '12.3 ms',
    '250 ms',
    '1.50 s',
    '12.0 s',
    '–',
  ]);
  expect([percent(0), percent(0.0123), percent(0.5), percent(1), percent(null)]).toEqual(['0 %', '1.23 %', '50.0 %', '100 %', '–']);
  expect([bytes(512), bytes(1536), bytes(150 * 2 ** 20)]).toEqual(['512 B', '1.5 KiB', '150 MiB']);
  expect([span(5), span(125), span(7300), span(200_000)]).toEqual(['5 s', '2 min', '2 h 1 min', '2 d']);
});

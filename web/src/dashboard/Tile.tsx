import { useMemo } from 'react';
import type { Snapshot } from './snapshot';

interface Props {
  name: string;
  value: string;
  note: string;
  /** On the wrong side of its limit, in words. */
  wrong?: 'over its limit' | 'under its limit' | false;
  history: Snapshot[];
  pick: (snapshot: Snapshot) => number;
}

/** One figure as it is now, with how it came about. */
export function Tile({ name, value, note, wrong = false, history, pick }: Props) {
  return (
    <article className={wrong ? 'card tile bad' : 'card tile'}>
      <h2>
        {name}
        {wrong && <span className="over">{wrong}</span>}
      </h2>
      <p className="figure">{value}</p>
      <p className="note">{note}</p>
      <Spark values={history.map(pick)} />
    </article>
  );
}

const WIDTH = 120;
const HEIGHT = 28;
/** More points than this do not show. */
const POINTS = 60;

function Spark({ values }: { values: number[] }) {
  const path = useMemo(() => {
    const size = Math.max(1, Math.ceil(values.length / POINTS));
    const points: number[] = [];
    for (let i = 0; i < values.length; i += size) {
      points.push(Math.max(...values.slice(i, i + size)));
    }
    const top = Math.max(...points, 1e-9);
    const step = WIDTH / Math.max(1, points.length - 1);
    return points.map((value, i) => `${i ? 'L' : 'M'}${(i * step).toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1)}`).join('');
  }, [values]);
  return (
    <svg className="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

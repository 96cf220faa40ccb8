import 'uplot/dist/uPlot.min.css';
import { type KeyboardEvent, useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import type { Theme } from '../theme';
import { columns, type Reading } from './figures';
import type { Snapshot } from './snapshot';

export interface Line {
  label: string;
  /** A custom property of the style sheet: --line-1, --bad, ... */
  color: string;
  pick: Reading;
  fill?: boolean;
}

interface Props {
  title: string;
  history: Snapshot[];
  minutes: number;
  lines: Line[];
  /** Writes a value with its unit. */
  format: (value: number) => string;
  /** Steps of the scale, where those of ten do not do. */
  steps?: number[];
  /** A level that matters, drawn across. */
  limit?: { at: number; label: string };
  /** The top of the scale, if it is fixed. */
  top?: number;
  theme: Theme;
}

const HEIGHT = 170;
const NARROW = 420;

export function Chart({ title, history, minutes, lines, format, steps, limit, top, theme }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useMemo(() => columns(history, lines.map(line => line.pick)), [history, lines]);
  const latest = useRef({ data, minutes });
  latest.current = { data, minutes };

  // Built anew only for another look; figures are put into it.
  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const made = new uPlot(
      options(element, { lines, format, steps, limit, top }, () => latest.current.minutes),
      latest.current.data as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    return () => {
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines, format, steps, limit, top, theme]);

  useEffect(() => {
    plot.current?.setData(data as uPlot.AlignedData);
  }, [data, minutes]);

  const last = history.at(-1);
  const spoken = last
    ? lines.map(line => `${line.label} ${written(line.pick(last), format)}`).join(', ')
    : 'no figures yet';
  return (
    <figure className="card chart">
      <figcaption>
        <h2>{title}</h2>
        {limit && <span className="limit-note">limit {limit.label}</span>}
      </figcaption>
      <div
        ref={host}
        className="plot"
        role="img"
        tabIndex={0}
        aria-label={`${title}: ${spoken}. Arrow keys read earlier figures.`}
        onKeyDown={event => walk(event, plot.current)}
        onBlur={() => point(plot.current, AWAY)}
      />
    </figure>
  );
}

const AWAY = { left: -10, top: -10 };

/** Puts the cursor on all charts: uPlot's types lack the last argument, which tells the others. */
function point(plot: uPlot | null, at: { left: number; top: number }) {
  (plot?.setCursor as ((at: object, fire: boolean, publish: boolean) => void) | undefined)?.(at, true, true);
}

/** Moves the cursor by a snapshot, or ten with Shift. */
function walk(event: KeyboardEvent, plot: uPlot | null) {
  const step = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
  if (event.key === 'Escape') {
    point(plot, AWAY);
  }
  const times = plot?.data[0];
  if (!plot || !step || !times?.length) {
    return;
  }
  event.preventDefault();
  const from = plot.cursor.idx ?? times.length;
  const index = Math.min(times.length - 1, Math.max(0, from + step * (event.shiftKey ? 10 : 1)));
  point(plot, { left: plot.valToPos(times[index] as number, 'x'), top: HEIGHT / 3 });
}

const written = (value: number | null | undefined, format: (value: number) => string) =>
  value == null ? '–' : format(value);

function options(
  element: HTMLElement,
  { lines, format, steps, limit, top }: Pick<Props, 'lines' | 'format' | 'steps' | 'limit' | 'top'>,
  minutes: () => number,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.getPropertyValue('--font')}`;
  const axis = { stroke: color('--muted'), font, ticks: { show: false }, grid: { stroke: color('--grid'), width: 1 } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [10, 6, 0, 0],
    cursor: {
      sync: { key: 'dashboard', setSeries: false },
      drag: { x: false, y: false },
      points: { size: 7 },
    },
    legend: { live: true, markers: { width: 0, fill: (_, i) => color(lines[i - 1]?.color ?? '--muted') } },
    scales: {
      x: {
        time: true,
        range: (_, _low, high) => [(high ?? Date.now() / 1000) - minutes() * 60, high ?? Date.now() / 1000],
      },
      y: {
        range: (_, _low, high) => [0, top ?? Math.max((high ?? 0) * 1.15, limit && (high ?? 0) > limit.at / 4 ? limit.at * 1.15 : 0, 0.01)],
      },
    },
    axes: [
      { ...axis, size: 28, space: element.clientWidth < NARROW ? 80 : 60, values: (_, times) => times.map(at => clock(at)) },
      { ...axis, size: 58, space: 34, incrs: steps, values: (_, values) => values.map(format) },
    ],
    series: [
      { label: 'at', value: (_, at) => (at == null ? 'now' : clock(at, true)) },
      ...lines.map(line => ({
        label: line.label,
        stroke: color(line.color),
        width: 2,
        fill: line.fill ? `color-mix(in srgb, ${color(line.color)} 14%, transparent)` : undefined,
        points: { show: false },
        // Without the cursor on it, a line tells its latest value.
        value: (plot: uPlot, value: number | null, series: number, index: number | null) =>
          written(index == null ? (plot.data[series]?.at(-1) ?? null) : value, format),
      })),
    ],
    hooks: { draw: limit ? [plot => drawLimit(plot, limit.at, color('--warn'))] : [] },
  };
}

function drawLimit(plot: uPlot, at: number, color: string) {
  const y = plot.valToPos(at, 'y', true);
  const { left, top, width, height } = plot.bbox;
  if (y < top || y > top + height) {
    return;
  }
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  ctx.restore();
}

function clock(at: number, withSeconds = false): string {
  return new Date(at * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: withSeconds ? '2-digit' : undefined,
  });
}

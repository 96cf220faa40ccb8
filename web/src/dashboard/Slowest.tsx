import { Fragment, type ReactNode } from 'react';
import { Card } from './Card';
import { Opener, useOpened } from './Details';
import { LIMITS, ms, whole } from './figures';
import { Meter } from './Meter';
import { Name } from './Name';

/** What every row of these lists has been measured by. */
interface Measured {
  p50Ms: number;
  p95Ms: number;
  count: number;
}

interface Column<T> {
  title: string;
  of: (item: T) => string;
  faulty?: (item: T) => boolean;
}

/** Columns that more than one list has. */
export const p50 = { title: 'p50', of: (item: Measured) => ms(item.p50Ms) };
export const calls = { title: 'Calls', of: (item: Measured) => whole(item.count) };
const p95 = { title: 'p95', of: (item: Measured) => ms(item.p95Ms), faulty: (item: Measured) => item.p95Ms > LIMITS.responseMs };

interface Props<T> {
  kind: 'operations' | 'fields' | 'statements';
  title: string;
  note?: string;
  none: string;
  wide?: boolean;
  /** What the rows are, over their names. */
  of: string;
  items: T[];
  /** Tells the items apart. */
  keyOf: (item: T) => string;
  nameOf: (item: T) => string;
  columns: Column<T>[];
  /** Beside the name, and below it. */
  beside?: (item: T) => ReactNode;
  below?: (item: T) => ReactNode;
  /** What an open row shows. */
  children: (item: T) => ReactNode;
}

/** What took longest in the last minute; a row opens. */
export function Slowest<T extends Measured>({ kind, title, note, none, wide, of, items, keyOf, nameOf, columns, beside, below, children }: Props<T>) {
  const { shown, isOpen, toggle } = useOpened(items, keyOf);
  const most = Math.max(...shown.map(item => item.p95Ms), 1e-9);
  const all: Column<T>[] = [p95, ...columns];
  return (
    <Card title={title} note={note ?? 'last minute'} none={none} empty={shown.length === 0} wide={wide}>
      <table className={kind}>
        <thead>
          <tr>
            <th scope="col">{of}</th>
            {all.map(column => (
              <th scope="col" key={column.title}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(item => (
            <Fragment key={keyOf(item)}>
              <tr className={isOpen(item) ? 'open' : ''}>
                <th scope="row">
                  <Opener open={isOpen(item)} onToggle={() => toggle(item)}>
                    <Name>{nameOf(item)}</Name>
                    {beside?.(item)}
                  </Opener>
                  <Meter share={item.p95Ms / most} />
                  {below?.(item)}
                </th>
                {all.map(column => (
                  <td key={column.title} className={column.faulty?.(item) ? 'faulty' : ''}>
                    {column.of(item)}
                  </td>
                ))}
              </tr>
              {isOpen(item) && (
                <tr className="details">
                  <td colSpan={1 + all.length}>{children(item)}</td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

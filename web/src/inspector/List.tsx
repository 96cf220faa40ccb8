import type { KeyboardEvent } from 'react';
import { clock, nameOf, type Received, verified } from './received';

interface Props {
  received: Received[];
  chosen: number;
  onChoose: (number: number) => void;
}

/** What came, the newest first. The arrow keys go from one to the next. */
export function List({ received, chosen, onChoose }: Props) {
  return (
    <section className="card received" aria-label="What came, the newest first">
      <h2>
        What came <span className="note">the newest first, {received.length === 200 ? 'the last 200' : received.length}</span>
      </h2>
      <ol onKeyDown={walk}>
        {received.map(one => (
          <li key={one.number}>
            <button
              type="button"
              data-number={one.number}
              aria-current={one.number === chosen ? 'true' : undefined}
              className={one.number === chosen ? 'row current' : 'row'}
              onClick={() => onChoose(one.number)}
            >
              <time dateTime={one.at}>{clock(one.at)}</time>
              <span className="what">
                <code className="event">{nameOf(one)}</code>
                {one.time > 1 && <span className="again">came {one.time} times</span>}
              </span>
              <Badge one={one} />
              <span className="where">
                {one.clinic}
                {one.said.position > 0 && `, position ${one.said.position}`}
              </span>
              <code className="entity">{one.said.entityId}</code>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function Badge({ one }: { one: Received }) {
  return verified(one) ? <span className="badge good">verified</span> : <span className="badge bad">not verified</span>;
}

function walk(event: KeyboardEvent<HTMLOListElement>) {
  const steps: Record<string, (rows: HTMLElement[], at: number) => number> = {
    ArrowDown: (_, at) => at + 1,
    ArrowUp: (_, at) => at - 1,
    Home: () => 0,
    End: rows => rows.length - 1,
  };
  const step = steps[event.key];
  if (!step) {
    return;
  }
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('.row')];
  const to = rows[step(rows, rows.indexOf(document.activeElement as HTMLElement))];
  if (to) {
    event.preventDefault();
    to.focus();
  }
}

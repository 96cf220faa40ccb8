import { Fragment, useRef, useState } from 'react';
import { ms, whole } from './figures';
import { Card, Meter } from './lists';
import type { Operation, Share } from './snapshot';

/** Of the operations that have no name of their own there is one per type. */
const nameOf = (operation: Operation) => `${operation.type} ${operation.name}`;

/** The slowest operations; one opens to show where its time goes. */
export function Operations({ operations }: { operations: Operation[] }) {
  const [opened, setOpened] = useState('');
  // What was opened stays when it is no longer among the slowest.
  const kept = useRef<Operation | null>(null);
  const found = operations.find(operation => nameOf(operation) === opened);
  if (found) {
    kept.current = found;
  }
  const missing = !found && kept.current && nameOf(kept.current) === opened ? [kept.current] : [];
  const shown = [...operations, ...missing];
  const most = Math.max(...shown.map(operation => operation.p95Ms), 1e-9);
  return (
    <Card title="Slowest operations" note="last minute; open one to see where its time goes" none="no operation ran in the last minute" empty={shown.length === 0} wide>
      <table className="operations">
        <thead>
          <tr>
            <th scope="col">Operation</th>
            <th scope="col">p95</th>
            <th scope="col">p50</th>
            <th scope="col">p99</th>
            <th scope="col">Calls</th>
            <th scope="col">Failed</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(operation => {
            const name = nameOf(operation);
            const open = name === opened;
            return (
              <Fragment key={name}>
                <tr className={open ? 'open' : ''}>
                  <th scope="row">
                    <button type="button" aria-expanded={open} onClick={() => setOpened(open ? '' : name)}>
                      <Arrow />
                      <code>{operation.name}</code>
                      <span className="kind">{operation.type}</span>
                    </button>
                    <Meter share={operation.p95Ms / most} />
                  </th>
                  <td>{ms(operation.p95Ms)}</td>
                  <td>{ms(operation.p50Ms)}</td>
                  <td>{ms(operation.p99Ms)}</td>
                  <td>{whole(operation.count)}</td>
                  <td className={operation.failed > 0 ? 'faulty' : ''}>{whole(operation.failed)}</td>
                </tr>
                {open && (
                  <tr className="details">
                    <td colSpan={6}>
                      <div className="details-columns">
                        <Shares title="Time by field" shares={operation.fields ?? []} none="no field with a resolver ran" />
                        <Shares title="SQL statements" shares={operation.statements ?? []} none="no statement ran" />
                      </div>
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </Card>
  );
}

function Shares({ title, shares, none }: { title: string; shares: Share[]; none: string }) {
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
              {ms(share.totalMs)} in {whole(share.count)} calls, {ms(share.meanMs)} each
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Arrow() {
  return (
    <svg className="arrow" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d="m6 3.5 4.5 4.5L6 12.5" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

import { Fragment } from 'react';
import { Opener, Shares, useOpened } from './Details';
import { LIMITS, ms, whole } from './figures';
import { Card } from './lists';
import { Meter } from './Meter';
import type { Operation } from './snapshot';

/** Of the operations that have no name of their own there is one per type. */
const nameOf = (operation: Operation) => `${operation.type} ${operation.name}`;

/** The slowest operations; one opens to show where its time goes. */
export function Operations({ operations }: { operations: Operation[] }) {
  const { shown, isOpen, toggle } = useOpened(operations, nameOf);
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
          {shown.map(operation => (
            <Fragment key={nameOf(operation)}>
              <tr className={isOpen(operation) ? 'open' : ''}>
                <th scope="row">
                  <Opener open={isOpen(operation)} onToggle={() => toggle(operation)}>
                    <code>{operation.name}</code>
                    <span className="kind">{operation.type}</span>
                  </Opener>
                  <Meter share={operation.p95Ms / most} />
                </th>
                <td className={operation.p95Ms > LIMITS.responseMs ? 'faulty' : ''}>{ms(operation.p95Ms)}</td>
                <td>{ms(operation.p50Ms)}</td>
                <td>{ms(operation.p99Ms)}</td>
                <td>{whole(operation.count)}</td>
                <td className={operation.failed > 0 ? 'faulty' : ''}>{whole(operation.failed)}</td>
              </tr>
              {isOpen(operation) && (
                <tr className="details">
                  <td colSpan={6}>
                    <div className="details-columns">
                      <Shares title="Time by field" shares={operation.fields ?? []} none="no field took any time" />
                      <Shares title="SQL statements" shares={operation.statements ?? []} none="no statement ran" />
                    </div>
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

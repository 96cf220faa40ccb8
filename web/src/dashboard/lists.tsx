import { Fragment, type ReactNode } from 'react';
import { Opener, Plan, Shares, useOpened } from './Details';
import { LIMITS, ms, percent, whole } from './figures';
import { Meter } from './Meter';
import type { ClinicLoad, Count, Field, Operation, Share, Statement } from './snapshot';

interface CardProps {
  title: string;
  note?: string;
  /** Said in place of an empty list. */
  none: string;
  empty: boolean;
  wide?: boolean;
  children: ReactNode;
}

export function Card({ title, note, none, empty, wide, children }: CardProps) {
  return (
    <article className={wide ? 'card list wide' : 'card list'}>
      <h2>
        {title} {note && <span className="note">{note}</span>}
      </h2>
      {empty ? <p className="none">{none}</p> : <div className="scroll">{children}</div>}
    </article>
  );
}

/** The slowest fields; one opens to show its statements and the operations that asked for it. */
export function Fields({ fields, operations }: { fields: Field[]; operations: Operation[] }) {
  const { shown, isOpen, toggle } = useOpened(fields, field => field.name);
  const most = Math.max(...shown.map(field => field.p95Ms), 1e-9);
  return (
    <Card title="Slowest fields" note="last minute" none="no field was resolved in the last minute" empty={shown.length === 0}>
      <table className="fields">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">p95</th>
            <th scope="col">p50</th>
            <th scope="col">Calls</th>
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(field => (
            <Fragment key={field.name}>
              <tr className={isOpen(field) ? 'open' : ''}>
                <th scope="row">
                  <Opener open={isOpen(field)} onToggle={() => toggle(field)}>
                    <code>{field.name}</code>
                  </Opener>
                  <Meter share={field.p95Ms / most} />
                  {field.errors > 0 && <span className="faults">{counted(field.errors, 'error')}</span>}
                </th>
                <td className={field.p95Ms > LIMITS.responseMs ? 'faulty' : ''}>{ms(field.p95Ms)}</td>
                <td>{ms(field.p50Ms)}</td>
                <td>{whole(field.count)}</td>
                <td>{ms(field.totalMs)}</td>
              </tr>
              {isOpen(field) && (
                <tr className="details">
                  <td colSpan={5}>
                    <Shares title="In the slowest operations" shares={within(operations, field.name)} none="none of the slowest operations spends time on it" />
                    <Shares title="SQL statements of its resolver" shares={field.statements ?? []} none="no statement ran" />
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

/** What a field takes of each operation. */
function within(operations: Operation[], field: string): Share[] {
  return operations.flatMap(operation => {
    const share = operation.fields?.find(({ name }) => name === field);
    return share ? [{ ...share, name: `${operation.type} ${operation.name}` }] : [];
  });
}

/** The slowest statements; one opens to show its text and its plan. */
export function Statements({ statements }: { statements: Statement[] }) {
  const { shown, isOpen, toggle } = useOpened(statements, statement => statement.family);
  const most = Math.max(...shown.map(statement => statement.p95Ms), 1e-9);
  return (
    <Card title="Slowest SQL" note="last minute" none="no statement ran in the last minute" empty={shown.length === 0}>
      <table className="statements">
        <thead>
          <tr>
            <th scope="col">Statements</th>
            <th scope="col">p95</th>
            <th scope="col">p50</th>
            <th scope="col">Calls</th>
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(statement => (
            <Fragment key={statement.family}>
              <tr className={isOpen(statement) ? 'open' : ''}>
                <th scope="row">
                  <Opener open={isOpen(statement)} onToggle={() => toggle(statement)}>
                    <code>{statement.family}</code>
                  </Opener>
                  <Meter share={statement.p95Ms / most} />
                  {statement.errors > 0 && <span className="faults">{counted(statement.errors, 'error')}</span>}
                </th>
                <td className={statement.p95Ms > LIMITS.responseMs ? 'faulty' : ''}>{ms(statement.p95Ms)}</td>
                <td>{ms(statement.p50Ms)}</td>
                <td>{whole(statement.count)}</td>
                <td>{ms(statement.totalMs)}</td>
              </tr>
              {isOpen(statement) && (
                <tr className="details">
                  <td colSpan={5}>
                    <section className="shares">
                      <h3>The slowest of them</h3>
                      <code>{statement.shape}</code>
                      {statement.statement && <Plan key={statement.statement} statement={statement.statement} />}
                    </section>
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

const counted = (count: number, noun: string) => `${whole(count)} ${noun}${count === 1 ? '' : 's'}`;

export function Clinics({ clinics }: { clinics: ClinicLoad[] }) {
  const most = Math.max(...clinics.map(clinic => clinic.requests), 1);
  return (
    <Card title="Clinics by load" note="last minute" none="no clinic asked in the last minute" empty={clinics.length === 0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Clinic</th>
            <th scope="col">Requests</th>
            <th scope="col">Failed</th>
            <th scope="col">Slow</th>
            <th scope="col">Mean</th>
          </tr>
        </thead>
        <tbody>
          {clinics.map(clinic => (
            <tr key={clinic.id}>
              <th scope="row" title={clinic.id}>
                <code>{clinic.id}</code>
                <Meter share={clinic.requests / most} />
              </th>
              <td>{whole(clinic.requests)}</td>
              <td className={clinic.failed > 0 ? 'faulty' : ''}>{whole(clinic.failed)}</td>
              <td>{clinic.requests > 0 ? percent(clinic.slow / clinic.requests) : '–'}</td>
              <td>{ms(clinic.meanMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

export function Bars({ title, none, counts }: { title: string; none: string; counts: Count[] }) {
  const most = Math.max(...counts.map(({ count }) => count), 1);
  return (
    <Card title={title} note="last minute" none={none} empty={counts.length === 0}>
      <table>
        <tbody>
          {counts.map(({ name, count }) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
                <Meter share={count / most} />
              </th>
              <td>{whole(count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

import type { ReactNode } from 'react';
import { ms, percent, whole } from './figures';
import type { ClinicLoad, Count, Field, Statement } from './snapshot';

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

/** A length that is compared with the longest of its column. */
export function Meter({ share }: { share: number }) {
  return (
    <span className="meter" aria-hidden="true">
      <span style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
    </span>
  );
}

export function Fields({ fields }: { fields: Field[] }) {
  const most = Math.max(...fields.map(field => field.p95Ms), 1e-9);
  return (
    <Card title="Slowest fields" note="last minute" none="no field was resolved in the last minute" empty={fields.length === 0}>
      <table>
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
          {fields.map(field => (
            <tr key={field.name}>
              <th scope="row">
                <code>{field.name}</code>
                <Meter share={field.p95Ms / most} />
                {field.errors > 0 && <span className="faults">{whole(field.errors)} errors</span>}
              </th>
              <td>{ms(field.p95Ms)}</td>
              <td>{ms(field.p50Ms)}</td>
              <td>{whole(field.count)}</td>
              <td>{ms(field.totalMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

export function Statements({ statements }: { statements: Statement[] }) {
  const most = Math.max(...statements.map(statement => statement.p95Ms), 1e-9);
  return (
    <Card title="Slowest SQL" note="last minute" none="no statement ran in the last minute" empty={statements.length === 0}>
      <table>
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
          {statements.map(statement => (
            <tr key={statement.family}>
              <th scope="row" title={statement.shape}>
                <code>{statement.family}</code>
                <Meter share={statement.p95Ms / most} />
                {statement.errors > 0 && <span className="faults">{whole(statement.errors)} errors</span>}
              </th>
              <td>{ms(statement.p95Ms)}</td>
              <td>{ms(statement.p50Ms)}</td>
              <td>{whole(statement.count)}</td>
              <td>{ms(statement.totalMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

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

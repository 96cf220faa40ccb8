import { Card } from './Card';
import { Plan, Shares } from './Details';
import { ms, percent, whole } from './figures';
import { Meter } from './Meter';
import { Name } from './Name';
import { calls, p50, Slowest } from './Slowest';
import type { ClinicLoad, Count, Field, Operation, Share, Statement } from './snapshot';

const time = { title: 'Time', of: (item: Field | Statement) => ms(item.totalMs) };

const faults = ({ errors }: Field | Statement) => errors > 0 && <span className="faults">{`${whole(errors)} error${errors === 1 ? '' : 's'}`}</span>;

/** The slowest fields; one opens to show its statements and the operations that asked for it. */
export function Fields({ fields, operations }: { fields: Field[]; operations: Operation[] }) {
  const name = (field: Field) => field.name;
  return (
    <Slowest
      kind="fields"
      title="Slowest fields"
      none="no field was resolved in the last minute"
      of="Field"
      items={fields}
      keyOf={name}
      nameOf={name}
      columns={[p50, calls, time]}
      below={faults}
    >
      {field => (
        <>
          <Shares title="In the slowest operations" shares={within(operations, field.name)} none="none of the slowest operations spends time on it" />
          <Shares title="SQL statements of its resolver" shares={field.statements ?? []} none="no statement ran" />
        </>
      )}
    </Slowest>
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
  const family = (statement: Statement) => statement.family;
  return (
    <Slowest
      kind="statements"
      title="Slowest SQL"
      none="no statement ran in the last minute"
      of="Statements"
      items={statements}
      keyOf={family}
      nameOf={family}
      columns={[p50, calls, time]}
      below={faults}
    >
      {statement => (
        <section className="shares">
          <h3>The slowest of them</h3>
          <code>{statement.shape}</code>
          {statement.statement && <Plan key={statement.statement} statement={statement.statement} />}
        </section>
      )}
    </Slowest>
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
      <table className="bars">
        <tbody>
          {counts.map(({ name, count }) => (
            <tr key={name}>
              <th scope="row">
                <Name>{name}</Name>
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

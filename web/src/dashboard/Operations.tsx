import { Shares } from './Details';
import { ms, whole } from './figures';
import { calls, p50, Slowest } from './Slowest';
import type { Operation } from './snapshot';

const p99 = { title: 'p99', of: (operation: Operation) => ms(operation.p99Ms) };
const failed = { title: 'Failed', of: (operation: Operation) => whole(operation.failed), faulty: (operation: Operation) => operation.failed > 0 };

/** The slowest operations; one opens to show where its time goes. */
export function Operations({ operations }: { operations: Operation[] }) {
  return (
    <Slowest
      kind="operations"
      title="Slowest operations"
      note="last minute; open one to see where its time goes"
      none="no operation ran in the last minute"
      wide
      of="Operation"
      items={operations}
      // Of the operations that have no name of their own there is one per type.
      keyOf={operation => `${operation.type} ${operation.name}`}
      nameOf={operation => operation.name}
      columns={[p50, p99, calls, failed]}
      beside={operation => <span className="kind">{operation.type}</span>}
    >
      {operation => (
        <div className="details-columns">
          <Shares title="Time by field" shares={operation.fields ?? []} none="no field took any time" />
          <Shares title="SQL statements" shares={operation.statements ?? []} none="no statement ran" />
        </div>
      )}
    </Slowest>
  );
}

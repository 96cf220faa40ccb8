import { Sign } from './Alerts';
import { ms, percent, span, whole } from './figures';
import type { Health as State, Snapshot } from './snapshot';

/** Whether what this instance needs answers, and how the instance does. */
export function Health({ snapshot }: { snapshot: Snapshot }) {
  const { pool, process } = snapshot;
  return (
    <article className="card health">
      <h2>Health</h2>
      <dl>
        <Server name="Postgres" state={snapshot.postgres} />
        <Server name="Redis" state={snapshot.redis} />
        <div>
          <dt>Pool</dt>
          <dd>
            {pool.inUse} in use, {pool.idle} idle of {pool.max}; {whole(pool.waits)} waits{pool.waits > 0 && `, ${ms(pool.waitedMs)} in all`}
          </dd>
        </div>
        <div>
          <dt>CPU</dt>
          <dd>{percent(process.cpu)}</dd>
        </div>
        <div>
          <dt>Collections</dt>
          <dd>
            {whole(process.gcs)} in {span(snapshot.intervalSeconds)}, {ms(process.gcPauseMs)} at most
          </dd>
        </div>
        <div>
          <dt>Goroutines</dt>
          <dd>{whole(process.goroutines)}</dd>
        </div>
      </dl>
    </article>
  );
}

function Server({ name, state }: { name: string; state: State }) {
  return (
    <div className={state.configured && !state.up ? 'down' : ''}>
      <dt>{name}</dt>
      <dd>
        {!state.configured ? (
          'not used'
        ) : state.up ? (
          <>
            <Sign kind="good" /> answers in {ms(state.latencyMs)}
          </>
        ) : (
          <>
            <Sign kind="bad" /> {state.fault || 'does not answer'}
          </>
        )}
      </dd>
    </div>
  );
}

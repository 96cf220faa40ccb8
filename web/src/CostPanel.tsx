import { useSyncExternalStore } from 'react';
import { type Asks, cacheWords, type Cost, duration, type FieldCost, plural, type PlanStep, type StatementCost } from './cost';
import { CloseIcon } from './icons';
import type { OutcomeStore } from './ResponseFooter';

interface Props {
  store: OutcomeStore;
  asks: Asks;
  onAsks: (asks: Asks) => void;
  onClose: () => void;
}

/** Beside the answer: what it cost, field by field and statement by statement. */
export function CostPanel({ store, asks, onAsks, onClose }: Props) {
  const outcome = useSyncExternalStore(store.subscribe, store.get);
  return (
    <aside className="cost" aria-label="What it cost">
      <header>
        <h2>What it cost</h2>
        <button type="button" className="close" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <fieldset className="asks">
        <legend>With the next run</legend>
        <label>
          <input
            type="checkbox"
            name="plans"
            checked={asks.plans}
            onChange={event => onAsks({ ...asks, plans: event.target.checked })}
          />
          Postgres’ plans
        </label>
        <label>
          <input
            type="checkbox"
            name="afresh"
            checked={asks.afresh}
            onChange={event => onAsks({ ...asks, afresh: event.target.checked })}
          />
          past the cache
        </label>
      </fieldset>
      {!outcome && <p className="hint">Run an operation to see what its answer takes.</p>}
      {outcome && !outcome.details && (
        <p className="hint">
          The server tells this only to members who hold the right <code>developer</code> in the clinic.
        </p>
      )}
      {outcome?.details && <Figures cost={outcome.details} asks={asks} />}
    </aside>
  );
}

function Figures({ cost, asks }: { cost: Cost; asks: Asks }) {
  const hit = cost.cache?.hit ?? false;
  const nothingRan = hit || (cost.fields.length === 0 && cost.sql.length === 0);
  return (
    <div className="told">
      <dl className="figures">
        <div>
          <dt>In the server</dt>
          <dd>{duration(cost.durationMs)} ms</dd>
        </div>
        <div>
          <dt>Statements</dt>
          <dd>{cost.statements}</dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd>{cost.cost.toLocaleString('en')}</dd>
        </div>
        <div className="wide">
          <dt>Cache</dt>
          <dd className={hit ? 'good' : ''}>{cacheWords(cost.cache)}</dd>
        </div>
      </dl>
      {nothingRan ? (
        <p className="hint">
          {hit
            ? 'The answer was kept: no field was resolved and no statement was run. Ask past the cache to see what computing it takes.'
            : 'No field was resolved for this request.'}
        </p>
      ) : (
        <>
          <Fields fields={cost.fields} more={cost.moreFields ?? 0} />
          <Statements statements={cost.sql} more={cost.moreStatements ?? 0} asks={asks} />
        </>
      )}
    </div>
  );
}

function Fields({ fields, more }: { fields: FieldCost[]; more: number }) {
  const longest = Math.max(...fields.map(field => field.totalMs), 0.001);
  return (
    <section aria-label="Time by field">
      <h3>Time by field</h3>
      <ol className="fields">
        {fields.map(field => (
          <li key={field.path} title={`${field.name}: ${duration(field.maxMs)} ms at most`}>
            <span className="bar" style={{ width: `${(100 * field.totalMs) / longest}%` }} />
            <span className="path">{field.path}</span>
            {field.count > 1 && <span className="times">× {field.count.toLocaleString('en')}</span>}
            <span className="ms">{duration(field.totalMs)} ms</span>
          </li>
        ))}
      </ol>
      {more > 0 && <p className="hint">and {plural(more, 'call')} of other fields</p>}
    </section>
  );
}

function Statements({ statements, more, asks }: { statements: StatementCost[]; more: number; asks: Asks }) {
  const planned = statements.some(statement => statement.plan || statement.noPlan);
  return (
    <section aria-label="SQL statements">
      <h3>SQL statements</h3>
      {statements.length === 0 && <p className="hint">None was run.</p>}
      <ol className="statements">
        {statements.map(statement => (
          <li key={statement.text}>
            <p className="took">
              <b>{duration(statement.totalMs)} ms</b>
              {statement.count > 1 && <span>{plural(statement.count, 'run')}</span>}
              <span>{plural(statement.rows, 'row')}</span>
              {statement.failed && <span className="bad">failed</span>}
            </p>
            <code className="sql">{statement.text}</code>
            {statement.plan && (
              <ul className="plan" aria-label="Plan">
                <Step step={statement.plan} />
              </ul>
            )}
            {statement.noPlan && <p className="hint">No plan: {statement.noPlan}</p>}
          </li>
        ))}
      </ol>
      {more > 0 && <p className="hint">and {plural(more, 'run')} of other statements</p>}
      {planned && (
        <p className="hint">
          Plans are those that Postgres makes without looking at a value; rows and cost are its guesses. Nothing was run
          for them.
        </p>
      )}
      {!planned && !asks.plans && statements.length > 0 && (
        <p className="hint">Tick Postgres’ plans and run it again to see how each is found.</p>
      )}
    </section>
  );
}

function Step({ step }: { step: PlanStep }) {
  return (
    <li>
      <p className="step">
        <b>{step.node}</b>
        {step.on && <span>{step.on}</span>}
        {step.using && <code>{step.using}</code>}
        {step.whole && <span className="badge">whole table</span>}
        <span className="guess">
          ≈ {plural(step.rows, 'row')}, cost {step.cost.toLocaleString('en')}
        </span>
      </p>
      {step.conditions?.map(condition => (
        <code key={condition} className="condition">
          {condition}
        </code>
      ))}
      {step.below && (
        <ul>
          {step.below.map((below, place) => (
            // A plan's steps have no name of their own, and never change their order.
            <Step key={place} step={below} />
          ))}
        </ul>
      )}
    </li>
  );
}

import { inUnit, span } from './figures';
import type { Alert, Snapshot } from './snapshot';

/** What is wrong now, and what was within the last hour. */
export function Alerts({ alerts, at }: { alerts: Snapshot['alerts']; at: string }) {
  const active = alerts.active ?? [];
  const lately = alerts.recent ?? [];
  return (
    <section className={active.length > 0 ? 'card alerts firing' : 'card alerts'} aria-label="Alerts">
      <div aria-live="polite">
        {active.length === 0 ? (
          <p className="calm">
            <Sign kind="good" /> No alert now
          </p>
        ) : (
          <ul className="active">
            {active.map(alert => (
              <li key={`${alert.name} ${alert.subject}`} className={alert.severity}>
                <Sign kind={alert.severity === 'critical' ? 'bad' : 'warn'} />
                <strong>{alert.name}</strong>
                {alert.subject && <code className="subject">{alert.subject}</code>}
                <span className="summary">{alert.summary}</span>
                <Held alert={alert} />
                <span className="when">for {span((Date.parse(at) - Date.parse(alert.since)) / 1000)}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
      {lately.length > 0 && (
        <details>
          <summary>
            {lately.length} ended in the last hour
          </summary>
          <ul className="lately">
            {lately.map(alert => (
              <li key={`${alert.name} ${alert.subject} ${alert.since}`}>
                <strong>{alert.name}</strong>
                {alert.subject && <code className="subject">{alert.subject}</code>}
                <span className="summary">{alert.summary}</span>
                <Held alert={alert} />
                <span className="when">
                  {clock(alert.since)}–{alert.until ? clock(alert.until) : 'now'}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function Held({ alert }: { alert: Alert }) {
  if (alert.unit === 'up') {
    return null;
  }
  return (
    <span className="held">
      {inUnit(alert.value, alert.unit)} against {inUnit(alert.threshold, alert.unit)}
    </span>
  );
}

const clock = (at: string) => new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** A mark that differs in shape, not in colour alone. */
export function Sign({ kind }: { kind: 'good' | 'warn' | 'bad' }) {
  return (
    <svg className={`sign ${kind}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      {kind === 'good' && <path d="m3 8.5 3.2 3.2L13 4.8" />}
      {kind === 'warn' && <path d="M8 2.2 14.5 13.6h-13ZM8 6.4v3.4M8 11.8v.1" />}
      {kind === 'bad' && <path d="M5.2 1.8h5.6l3.4 3.4v5.6l-3.4 3.4H5.2l-3.4-3.4V5.2ZM8 4.8v4M8 11v.1" />}
    </svg>
  );
}

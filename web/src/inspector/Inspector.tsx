import { useState } from 'react';
import { Mark, MoonIcon, SunIcon, SystemIcon } from '../icons';
import { nextTheme, useTheme } from '../theme';
import { Details } from './Details';
import { List } from './List';
import type { Snapshot } from './received';
import { type Feed, useReceived } from './useReceived';

export function Inspector() {
  const feed = useReceived();
  return (
    <>
      <TopBar feed={feed} />
      {feed.snapshot ? (
        // Another start has other webhooks: what was chosen is gone.
        <Board key={feed.snapshot.run} snapshot={feed.snapshot} state={feed.state} />
      ) : (
        <main className="inspector">
          <p className="waiting" role="status">
            {feed.state === 'lost' ? 'The server does not answer. This page tries again by itself.' : 'Asking what came…'}
          </p>
        </main>
      )}
    </>
  );
}

function Board({ snapshot, state }: { snapshot: Snapshot; state: Feed['state'] }) {
  const [number, setNumber] = useState(0);
  const chosen = snapshot.received.find(one => one.number === number);
  const close = () => {
    setNumber(0);
    window.requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-number="${number}"]`)?.focus());
  };
  if (snapshot.received.length === 0) {
    return (
      <main className={`inspector ${state}`}>
        <Empty clinics={snapshot.clinics} />
      </main>
    );
  }
  return (
    <main
      className={`inspector ${state} ${chosen ? 'chosen' : ''}`}
      onKeyDown={event => {
        if (event.key === 'Escape' && chosen) {
          close();
        }
      }}
    >
      <List received={snapshot.received} chosen={number} onChoose={setNumber} />
      {chosen ? (
        <Details key={chosen.number} one={chosen} onClose={close} />
      ) : (
        <section className="card details none">
          <p>Choose a webhook to see its headers and its body.</p>
        </section>
      )}
    </main>
  );
}

function Empty({ clinics }: { clinics: string[] }) {
  return (
    <section className="card empty">
      <h2>No webhook has come yet</h2>
      <p>
        {clinics.length > 0 ? `${clinics.join(' and ')} ${clinics.length === 1 ? 'tells' : 'tell'} this page` : 'The demo clinics tell this page'} everything that
        happens. To make one come, run a mutation in the <a href="/">playground</a>: its example <em>CreateContact</em> will do. It is here within a second or two.
      </p>
    </section>
  );
}

const STATES = { opening: 'Connecting', live: 'Live', lost: 'No connection' };
const THEME_ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };

function TopBar({ feed }: { feed: Feed }) {
  const [theme, , setTheme] = useTheme();
  const ThemeIcon = THEME_ICONS[theme];
  return (
    <header className="topbar">
      <h1 className="brand">
        <Mark />
        <span className="brand-name">TaskMed</span>
        <span className="brand-part">Webhooks</span>
      </h1>
      <p className={`state ${feed.state}`} role="status">
        {STATES[feed.state]}
      </p>
      <a className="other-page" href="/">
        Playground
      </a>
      <button
        type="button"
        className="theme-toggle"
        aria-label={`Theme: ${theme}. Switch to ${nextTheme(theme)}.`}
        title={`Theme: ${theme}`}
        onClick={() => setTheme(nextTheme(theme))}
      >
        <ThemeIcon />
      </button>
    </header>
  );
}

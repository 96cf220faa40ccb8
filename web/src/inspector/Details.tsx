import { useEffect, useRef, useState } from 'react';
import { CloseIcon } from '../icons';
import { Badge } from './List';
import { clock, nameOf, readable, type Received } from './received';

export function Details({ one, onClose }: { one: Received; onClose: () => void }) {
  const top = useRef<HTMLElement>(null);
  // Where it takes the list's place it begins at its top, and a reader is told of it.
  useEffect(() => {
    if (window.matchMedia('(max-width: 900px)').matches) {
      window.scrollTo(0, 0);
      top.current?.focus();
    }
  }, []);
  const headers = one.headers.map(({ name, value }) => `${name}: ${value}`).join('\n');
  return (
    <section className="card details" aria-label="The chosen webhook" tabIndex={-1} ref={top}>
      <header>
        <h2>
          <code>{nameOf(one)}</code> <Badge one={one} />
        </h2>
        <button type="button" className="close" aria-label="Back to the list" title="Back to the list (Escape)" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <p className="note">
        {one.clinic}, at {clock(one.at)}, answered with {one.status}
        {one.time > 1 && `; it came ${one.time} times`}
      </p>
      <dl className="signatures">
        {one.signatures.map(({ version, verified, problem }) => (
          <div key={version}>
            <dt>{version}</dt>
            <dd className={verified ? 'good' : 'bad'}>{verified ? 'verified' : problem}</dd>
          </div>
        ))}
      </dl>
      <Text title="Body" text={readable(one.body)} copied={one.body} />
      <Text title="Headers" text={headers} copied={headers} />
    </section>
  );
}

function Text({ title, text, copied }: { title: string; text: string; copied: string }) {
  const [said, setSaid] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(copied);
      setSaid('copied');
    } catch {
      setSaid('the browser does not let this page copy: select the text instead');
    }
  };
  return (
    <div className={`text ${title.toLowerCase()}`}>
      <h3>
        {title}
        <button type="button" className="copy" aria-label={`Copy the ${title.toLowerCase()}`} onClick={copy}>
          Copy
        </button>
        <span className="note" role="status">
          {said}
        </span>
      </h3>
      {/* It scrolls, and so the keyboard must get there. */}
      <pre tabIndex={0}>{text || '(not kept)'}</pre>
    </div>
  );
}

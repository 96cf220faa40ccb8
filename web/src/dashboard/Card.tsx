import type { ReactNode } from 'react';

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

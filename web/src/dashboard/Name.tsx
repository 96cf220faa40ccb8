import { Fragment } from 'react';

/** A name of the code's, which rather breaks behind a dot or an underscore than anywhere. */
export function Name({ children }: { children: string }) {
  return (
    <code>
      {children.split(/(?<=[._])/).map((part, at) => (
        <Fragment key={at}>
          {at > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </code>
  );
}

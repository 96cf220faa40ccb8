import { type FormEvent, useRef } from 'react';
import { NOBODY, type Session } from './config';
import { KeyIcon } from './icons';

interface Props {
  session: Session;
  onSession: (session: Session) => void;
}

/** Outside of the demo: the reader's own token and clinic, kept for this session only. */
export function TokenDialog({ session, onSession }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const signedIn = session.token !== '';

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onSession({
      role: '',
      token: String(form.get('token') ?? '').trim().replace(/^bearer\s+/i, ''),
      clinicId: String(form.get('clinic') ?? '').trim(),
    });
    dialog.current?.close();
  };

  const forget = () => {
    onSession(NOBODY);
    dialog.current?.close();
  };

  return (
    <>
      <button type="button" className="token-button" onClick={() => dialog.current?.showModal()}>
        <KeyIcon />
        {signedIn ? 'Token set' : 'Set a token'}
      </button>
      <dialog ref={dialog} className="token-dialog" aria-labelledby="token-title">
        <form onSubmit={submit}>
          <h2 id="token-title">Act as</h2>
          <p>
            Every tab sends these as its <code>Authorization</code> and <code>X-Clinic-Id</code>{' '}
            headers. They are forgotten when this browser tab is closed.
          </p>
          <label>
            Access token or partner key
            <textarea name="token" rows={4} required spellCheck={false} defaultValue={session.token} />
          </label>
          <label>
            Clinic id <small>only if the token is for several clinics</small>
            <input name="clinic" spellCheck={false} placeholder="clinic_…" defaultValue={session.clinicId} />
          </label>
          <div className="dialog-actions">
            {signedIn && (
              <button type="button" onClick={forget}>
                Forget it
              </button>
            )}
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="submit" className="primary">
              Use it
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

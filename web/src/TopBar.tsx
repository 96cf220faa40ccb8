import { type Config, type DemoClinic, demoSession, rolesOf, type Session } from './config';
import { Mark, MoonIcon, SunIcon, SystemIcon } from './icons';
import { nextTheme, type ThemeChoice } from './theme';
import { TokenDialog } from './TokenDialog';

interface Props {
  config: Config;
  session: Session;
  onSession: (session: Session) => void;
  theme: ThemeChoice;
  onTheme: (theme: ThemeChoice) => void;
}

const THEME_ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };

export function TopBar({ config, session, onSession, theme, onTheme }: Props) {
  const ThemeIcon = THEME_ICONS[theme];
  const next = nextTheme(theme);
  return (
    <header className="topbar">
      <h1 className="brand">
        <Mark />
        <span className="brand-name">{config.title}</span>
        <span className="brand-part">Playground</span>
      </h1>
      <div className="who">
        {config.clinics.length > 0 ? (
          <DemoPicker clinics={config.clinics} session={session} onSession={onSession} />
        ) : (
          <TokenDialog session={session} onSession={onSession} />
        )}
      </div>
      {config.webhooks && (
        <a className="other-page" href={config.webhooks} target="taskmed-webhooks" title="What came to taskmed dev's own webhook endpoints">
          Webhooks
        </a>
      )}
      <button
        type="button"
        className="theme-toggle"
        aria-label={`Theme: ${theme}. Switch to ${next}.`}
        title={`Theme: ${theme}`}
        onClick={() => onTheme(next)}
      >
        <ThemeIcon />
      </button>
    </header>
  );
}

interface PickerProps {
  clinics: DemoClinic[];
  session: Session;
  onSession: (session: Session) => void;
}

function DemoPicker({ clinics, session, onSession }: PickerProps) {
  const clinic = clinics.find(c => c.id === session.clinicId);
  return (
    <>
      <label className="pick">
        <span>Clinic</span>
        <select
          name="clinic"
          value={session.clinicId}
          onChange={event => onSession(demoSession(clinics, event.target.value, session.role))}
        >
          {clinics.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label className="pick">
        <span>Role</span>
        <select
          name="role"
          value={session.role}
          onChange={event => onSession(demoSession(clinics, session.clinicId, event.target.value))}
        >
          {(clinic ? rolesOf(clinic) : []).map(role => (
            <option key={role} value={role}>
              {role.charAt(0) + role.slice(1).toLowerCase()}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}

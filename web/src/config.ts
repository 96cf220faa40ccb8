/** What the server tells the page about itself: /playground/config.json. */
export interface Config {
  endpoint: string;
  title: string;
  /** Empty unless the server is `taskmed dev`, reached on this machine. */
  clinics: DemoClinic[];
  /** Where webhooks that came are shown; empty as clinics are. */
  webhooks: string;
}

export interface DemoClinic {
  id: string;
  name: string;
  slug: string;
  /** Bearer tokens by role. */
  tokens: Record<string, string>;
}

/** Who the playground acts as. It lives no longer than the browser's session. */
export interface Session {
  clinicId: string;
  role: string;
  token: string;
}

export const NOBODY: Session = { clinicId: '', role: '', token: '' };

const SESSION_KEY = 'taskmed:session';

export async function loadConfig(): Promise<Config> {
  const response = await fetch('/playground/config.json', { cache: 'no-store' });
  if (!response.ok) {
    throw new Error(`/playground/config.json answered ${response.status}`);
  }
  return (await response.json()) as Config;
}

/** Roles in the order in which the picker offers them: the most able first. */
const ROLE_ORDER = ['OWNER', 'ADMIN', 'PRACTITIONER', 'RECEPTIONIST', 'FINANCE', 'PARTNER'];

export function rolesOf(clinic: DemoClinic): string[] {
  const rank = (role: string) => {
    const index = ROLE_ORDER.indexOf(role);
    return index < 0 ? ROLE_ORDER.length : index;
  };
  return Object.keys(clinic.tokens).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/**
 * The session for a clinic and a role of the demo, as near to what was asked for
 * as the server offers. The token always comes from the server's list: a stored
 * one may be older than the key that signs them.
 */
export function demoSession(clinics: DemoClinic[], clinicId: string, role: string): Session {
  const clinic = clinics.find(c => c.id === clinicId) ?? clinics[0];
  if (!clinic) {
    return NOBODY;
  }
  const chosen = clinic.tokens[role] ? role : (rolesOf(clinic)[0] ?? '');
  return { clinicId: clinic.id, role: chosen, token: clinic.tokens[chosen] ?? '' };
}

export function restoreSession(config: Config, store: Storage): Session {
  let kept = NOBODY;
  try {
    kept = { ...NOBODY, ...JSON.parse(store.getItem(SESSION_KEY) ?? '{}') };
  } catch {
    // What another version stored: begin anew.
  }
  if (config.clinics.length > 0) {
    return demoSession(config.clinics, kept.clinicId, kept.role);
  }
  return kept;
}

export function keepSession(session: Session, store: Storage): void {
  store.setItem(SESSION_KEY, JSON.stringify(session));
}

/** The request headers that make a request this session's; {} for nobody. */
export function sessionHeaders(session: Session): Record<string, string> {
  return {
    ...(session.token && { Authorization: `Bearer ${session.token}` }),
    ...(session.clinicId && { 'X-Clinic-Id': session.clinicId }),
  };
}

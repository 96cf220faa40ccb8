import clinicQuery from '../context/clinic.graphql?raw';
import diaryQuery from '../context/diary.graphql?raw';
import { addDays, dateIn, startOfDay } from './time';

/** What the {{placeholders}} of the examples stand for; see Values in values.go. */
export type Values = Record<string, string>;

const PLACEHOLDER = /\{\{([a-zA-Z]+)\}\}/g;

/** Replaces each {{name}} within JSON text; a name without a value stays as it is. */
export function resolve(text: string, values: Values): string {
  return text.replace(PLACEHOLDER, (match, name: string) => {
    const value = values[name];
    return value === undefined ? match : JSON.stringify(value).slice(1, -1);
  });
}

export function hasPlaceholders(text: string): boolean {
  return text.search(PLACEHOLDER) >= 0;
}

/** Swaps ids that the user's own text took from one clinic for another's. */
export function carryOver(text: string, from: Values, to: Values): string {
  let carried = text;
  for (const [name, old] of Object.entries(from)) {
    const now = to[name];
    if (name.endsWith('Id') && old && now) {
      carried = carried.replaceAll(old, now);
    }
  }
  return carried;
}

export function dateValues(timeZone: string, now: Date): Values {
  const today = dateIn(timeZone, now);
  const tomorrow = addDays(today, 1);
  return {
    ...dayOf(today, timeZone),
    today,
    tomorrow,
    todayStart: startOfDay(today, timeZone),
    tomorrowStart: startOfDay(tomorrow, timeZone),
    nextWeekStart: startOfDay(addDays(today, 8), timeZone),
  };
}

/** The midnights around a date. */
function dayOf(date: string, timeZone: string): Values {
  return { dayStart: startOfDay(date, timeZone), dayEnd: startOfDay(addDays(date, 1), timeZone) };
}

interface Answer {
  data?: Record<string, unknown> | null;
}
export type Run = (query: string, variables: Record<string, unknown>) => Promise<Answer>;

interface Nodes {
  nodes?: { id?: string; startsAt?: string; contact?: { id?: string } | null; services?: Nodes }[];
}
interface ClinicAnswer {
  viewer?: { clinic?: { timeZone?: string; practitioners?: Nodes } };
  contacts?: Nodes;
}
interface DiaryAnswer {
  appointments?: Nodes;
  availability?: { startsAt?: string; endsAt?: string }[];
}

/**
 * Asks the API for the values. Whatever cannot be had (no session yet, no right,
 * an empty clinic) is left out and stays a placeholder; dates are always there.
 * Without a way to ask they are the browser's.
 */
export async function fetchValues(run: Run | null, now: Date): Promise<Values> {
  if (!run) {
    return dateValues(Intl.DateTimeFormat().resolvedOptions().timeZone, now);
  }
  const clinic = await attempt<ClinicAnswer>(run, clinicQuery, {});
  const mine = clinic.viewer?.clinic;
  const zone = mine?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const values: Values = {
    ...dateValues(zone, now),
    ...named('practitionerId', mine?.practitioners?.nodes?.[0]?.id),
    ...named('serviceId', mine?.practitioners?.nodes?.[0]?.services?.nodes?.[0]?.id),
    ...named('contactId', clinic.contacts?.nodes?.[0]?.id),
  };
  if (!values.practitionerId || !values.serviceId) {
    return values;
  }
  const diary = await attempt<DiaryAnswer>(run, diaryQuery, {
    next: { from: now.toISOString(), to: values.nextWeekStart },
    coming: { from: values.tomorrowStart, to: values.nextWeekStart },
    practitionerIds: [values.practitionerId],
    serviceId: values.serviceId,
  });
  const appointment = diary.appointments?.nodes?.[0];
  return {
    ...values,
    ...named('appointmentId', appointment?.id),
    // The next day with something in it: a clinic that is closed today shows nothing.
    ...(appointment?.startsAt && dayOf(dateIn(zone, new Date(appointment.startsAt)), zone)),
    ...named('contactId', appointment?.contact?.id),
    ...named('freeSlotStart', diary.availability?.[0]?.startsAt),
    ...named('freeSlotEnd', diary.availability?.[0]?.endsAt),
  };
}

function named(name: string, value: string | undefined): Values {
  return value ? { [name]: value } : {};
}

async function attempt<T>(run: Run, query: string, variables: Record<string, unknown>): Promise<Partial<T>> {
  try {
    return ((await run(query, variables)).data ?? {}) as Partial<T>;
  } catch {
    return {}; // The tabs open all the same, and running one says what is wrong.
  }
}

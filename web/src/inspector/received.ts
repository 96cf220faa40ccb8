/** What the server tells: internal/webhooks/inspector, Snapshot. */
export interface Snapshot {
  /** Another one once the server began anew, with numbers from 1 on. */
  run: string;
  /** Whose webhooks are received. */
  clinics: string[];
  /** The oldest first. */
  received: Received[];
}

export interface Received {
  number: number;
  /** RFC 3339. */
  at: string;
  clinic: string;
  /** What the receiver answered. */
  status: number;
  signatures: Signature[];
  /** 2 where it came once before. */
  time: number;
  said: { type: string; event: string; position: number; entityId: string };
  headers: { name: string; value: string }[];
  body: string;
}

export interface Signature {
  version: string;
  verified: boolean;
  problem: string;
}

/** As many as the server keeps. */
const MOST = 200;

/** The former list with what came since, the newest first; anew after another start. */
export function extend(before: Snapshot | null, now: Snapshot): Snapshot {
  const kept = before?.run === now.run ? before.received : [];
  const last = kept[0]?.number ?? 0;
  const news = now.received.filter(one => one.number > last).reverse();
  return { ...now, received: news.length === 0 ? kept : [...news, ...kept].slice(0, MOST) };
}

export function verified(one: Received): boolean {
  return one.signatures.length > 0 && one.signatures.every(signature => signature.verified);
}

/** The event's name, or the type of what is no event, such as webhook.test. */
export function nameOf(one: Received): string {
  return one.said.event || one.said.type || 'not a webhook of TaskMed';
}

/** A body as JSON is read, or as it came where it is none. */
export function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

/** The time of day on this machine. */
export function clock(at: string): string {
  return new Date(at).toLocaleTimeString('en-GB');
}

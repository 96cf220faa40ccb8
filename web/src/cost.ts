/** What extensions.taskmed tells a developer about an answer; see docs/playground.md. */
export interface Cost {
  cost: number;
  statements: number;
  durationMs: number;
  cache?: CacheNote;
  fields: FieldCost[];
  moreFields?: number;
  sql: StatementCost[];
  moreStatements?: number;
}

export interface CacheNote {
  hit: boolean;
  tier?: string;
  reason?: string;
  stored?: boolean;
  ageMs?: number;
  maxAge?: number;
  scope?: string;
}

export interface FieldCost {
  path: string;
  name: string;
  count: number;
  totalMs: number;
  maxMs: number;
}

export interface StatementCost {
  text: string;
  count: number;
  rows: number;
  totalMs: number;
  maxMs: number;
  failed?: boolean;
  plan?: PlanStep;
  noPlan?: string;
}

export interface PlanStep {
  node: string;
  on?: string;
  using?: string;
  rows: number;
  cost: number;
  conditions?: string[];
  whole?: boolean;
  below?: PlanStep[];
}

/** Reads an answer's extensions; undefined for who may not see them, or from an older server. */
export function costOf(body: string): Cost | undefined {
  try {
    const answer = JSON.parse(body) as { extensions?: { taskmed?: Partial<Cost> } };
    const told = answer.extensions?.taskmed;
    return told && { cost: 0, statements: 0, durationMs: 0, ...told, fields: told.fields ?? [], sql: told.sql ?? [] };
  } catch {
    return undefined; // Not JSON: some proxy's page.
  }
}

/** What is asked for with the next runs. */
export interface Asks {
  plans: boolean;
  afresh: boolean;
}

/** The headers that ask for it. */
export function askingHeaders(asks: Asks): Record<string, string> {
  return {
    ...(asks.plans && { 'X-TaskMed-Explain': 'plans' }),
    ...(asks.afresh && { 'Cache-Control': 'no-cache' }),
  };
}

/** The cache's part in an answer, in a few words. */
export function cacheWords(note: CacheNote | undefined): string {
  if (!note) {
    return 'not asked';
  }
  if (note.hit) {
    return ['hit', note.tier && `in ${note.tier === 'redis' ? 'Redis' : `the ${note.tier}`}`, `${age(note.ageMs ?? 0)} old`]
      .filter(Boolean)
      .join(', ');
  }
  return [note.reason || 'miss', note.stored && 'kept now'].filter(Boolean).join('; ');
}

function age(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${Math.round(milliseconds / 1000)} s`;
}

/** Milliseconds with as many digits as tell something. */
export function duration(milliseconds: number): string {
  if (milliseconds < 0.01) {
    return '< 0.01';
  }
  return milliseconds < 10 ? milliseconds.toFixed(2) : milliseconds.toFixed(milliseconds < 100 ? 1 : 0);
}

export function plural(count: number, one: string): string {
  return `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
}

/** One of the operations that the playground opens in a tab; see Example in examples.go. */
export interface Example {
  /** The tab's id, kept over reloads: "example-day-view". */
  id: string;
  title: string;
  /** What it is listed under: the last of GROUPS that begins at or before its number. */
  group: string;
  /** The leading comment without its first line, as one paragraph. */
  about: string;
  operationName: string;
  kind: 'query' | 'mutation' | 'subscription';
  /** It writes nothing, as it ships. */
  dryRun: boolean;
  query: string;
  /** JSON text with {{placeholders}}, "" for an operation without variables. */
  variables: string;
}

/** The numbers of files at which the list begins a new part. */
const GROUPS: [number, string][] = [
  [1, 'First steps'],
  [11, 'The clinic'],
  [20, 'The diary'],
  [35, 'Contacts'],
  [40, 'Medical records'],
  [50, 'Calendars and access'],
  [60, 'Money'],
  [70, 'Conversations'],
  [80, 'What happened'],
];

const groupOf = (number: number) => GROUPS.findLast(([from]) => from <= number)?.[1] ?? '';

const queries = import.meta.glob<string>('../examples/*.graphql', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const variables = import.meta.glob<string>('../examples/*.variables.json', {
  query: '?raw',
  import: 'default',
  eager: true,
});

export function parseExample(path: string, query: string, variablesText: string): Example {
  const name = /(?:\d+-)?([^/]+)\.graphql$/.exec(path)?.[1] ?? path;
  const comment: string[] = [];
  for (const line of query.split('\n')) {
    if (!line.startsWith('#')) {
      break;
    }
    comment.push(line.replace(/^#\s?/, '').trim());
  }
  const [, kind = 'query', operationName = name] =
    /^(query|mutation|subscription)\s+(\w+)/m.exec(query) ?? [];
  return {
    id: `example-${name}`,
    title: comment[0] ?? operationName,
    group: groupOf(Number(/(\d+)-[^/]+$/.exec(path)?.[1])),
    about: comment.slice(1).join(' '),
    operationName,
    kind: kind === 'mutation' || kind === 'subscription' ? kind : 'query',
    dryRun: /^ .*\) @dryRun \{/m.test(query),
    query,
    variables: variablesText.trim() === '{}' ? '' : variablesText.trim(),
  };
}

export const EXAMPLES: Example[] = Object.keys(queries)
  .sort()
  .map(path =>
    parseExample(path, queries[path] ?? '', variables[path.replace('.graphql', '.variables.json')] ?? ''),
  );

/** The examples that a first visit opens in tabs; the others are opened from the list. */
export const opened = (examples: Example[]) => examples.filter(example => example.group === examples[0]?.group);

/** The examples in which each word that was typed is found, by their groups in order. */
export function listed(examples: Example[], typed: string): [string, Example[]][] {
  const words = typed.toLowerCase().split(/\s+/);
  const found = new Map<string, Example[]>();
  for (const example of examples) {
    const text = `${example.group} ${example.title} ${example.about} ${example.query}`.toLowerCase();
    if (words.every(word => text.includes(word))) {
      found.set(example.group, [...(found.get(example.group) ?? []), example]);
    }
  }
  return [...found];
}

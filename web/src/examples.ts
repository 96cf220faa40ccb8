/** One of the operations that the playground opens in a tab; see Example in examples.go. */
export interface Example {
  /** The tab's id, kept over reloads: "example-day-view". */
  id: string;
  title: string;
  /** The leading comment without its first line, as one paragraph. */
  about: string;
  operationName: string;
  kind: 'query' | 'mutation' | 'subscription';
  query: string;
  /** JSON text with {{placeholders}}, "" for an operation without variables. */
  variables: string;
}

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
    about: comment.slice(1).join(' '),
    operationName,
    kind: kind === 'mutation' || kind === 'subscription' ? kind : 'query',
    query,
    variables: variablesText.trim() === '{}' ? '' : variablesText.trim(),
  };
}

export const EXAMPLES: Example[] = Object.keys(queries)
  .sort()
  .map(path =>
    parseExample(path, queries[path] ?? '', variables[path.replace('.graphql', '.variables.json')] ?? ''),
  );

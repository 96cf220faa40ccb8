import { expect, test } from 'vitest';
import { EXAMPLES, listed, opened, parseExample } from './examples';

test('examples ship, each with a title, words and variables that are JSON', () => {
  expect(EXAMPLES[0]).toMatchObject({ id: 'example-day-view', title: 'Day view', operationName: 'DayView' });
  for (const example of EXAMPLES) {
    expect(example.about, example.id).not.toBe('');
    expect(() => JSON.parse(example.variables || '{}'), example.id).not.toThrow();
  }
  expect(new Set(EXAMPLES.map(example => example.id)).size).toBe(EXAMPLES.length);
  expect(EXAMPLES.find(example => example.operationName === 'CreateContact')?.kind).toBe('mutation');
  expect(EXAMPLES.filter(example => example.dryRun && example.kind !== 'mutation')).toEqual([]);
  expect(EXAMPLES.find(example => example.operationName === 'RecordPayment')?.dryRun).toBe(true);
});

test('the list is in parts, and finds an example by a word or a field', () => {
  expect(EXAMPLES.every(example => example.group)).toBe(true);
  const all = listed(EXAMPLES, '');
  expect(all.map(([group]) => group)).toEqual([...new Set(EXAMPLES.map(example => example.group))]);
  expect(all.flatMap(([, examples]) => examples)).toEqual(EXAMPLES);
  expect(listed(EXAMPLES, 'undoAppointmentStep(').flatMap(([, some]) => some.map(one => one.operationName))).toEqual(['AppointmentSteps']);
  expect(listed(EXAMPLES, 'WAITING room')[0]?.[1][0]?.operationName).toBe('WaitingRoom');
  expect(listed(EXAMPLES, 'no such thing')).toEqual([]);
  expect(opened(EXAMPLES)).toHaveLength(10);
});

test('the leading comment is title and description', () => {
  const example = parseExample(
    '../examples/03-some-thing.graphql',
    '# A title\n# Two lines\n# of words.\n\nmutation Thing { x }',
    '{}\n',
  );
  expect(example).toMatchObject({
    id: 'example-some-thing',
    group: 'First steps',
    title: 'A title',
    about: 'Two lines of words.',
    operationName: 'Thing',
    kind: 'mutation',
    dryRun: false,
    variables: '',
  });
});

import { expect, test } from 'vitest';
import { EXAMPLES, parseExample } from './examples';

test('twenty-three examples ship, each with a title, words and variables that are JSON', () => {
  expect(EXAMPLES).toHaveLength(23);
  expect(EXAMPLES[0]).toMatchObject({ id: 'example-day-view', title: 'Day view', operationName: 'DayView' });
  for (const example of EXAMPLES) {
    expect(example.about, example.id).not.toBe('');
    expect(() => JSON.parse(example.variables || '{}'), example.id).not.toThrow();
  }
  expect(new Set(EXAMPLES.map(example => example.id)).size).toBe(23);
  expect(EXAMPLES.filter(example => example.kind === 'mutation').map(example => example.operationName)).toEqual([
    'CreateContact',
    'ScheduleAppointment',
    'CreateMedicalRecord',
    'UpdateClinic',
    'AddMember',
    'CreatePractitioner',
    'CreateService',
    'SetWorkingHours',
    'AddTimeOff',
    'DiscardMedicalRecord',
    'WithdrawMedicalRecord',
  ]);
});

test('the leading comment is title and description', () => {
  const example = parseExample(
    '../examples/03-some-thing.graphql',
    '# A title\n# Two lines\n# of words.\n\nmutation Thing { x }',
    '{}\n',
  );
  expect(example).toMatchObject({
    id: 'example-some-thing',
    title: 'A title',
    about: 'Two lines of words.',
    operationName: 'Thing',
    kind: 'mutation',
    variables: '',
  });
});

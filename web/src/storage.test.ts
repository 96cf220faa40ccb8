import { beforeEach, describe, expect, test } from 'vitest';
import { parseExample } from './examples';
import { memoryStore } from './memoryStore';
import { createStorage } from './storage';
import type { Values } from './values';

const examples = [
  parseExample('01-contact.graphql', '# Contact\nquery Contact($id: ID!) { contact(id: $id) { id } }', '{"id": "{{contactId}}"}'),
  parseExample('02-viewer.graphql', '# Viewer\nquery Viewer { viewer { role } }', '{}'),
];
const aurora: Values = { contactId: 'contact_a' };
const boaVista: Values = { contactId: 'contact_b' };

let local: Storage;
let session: Storage;
const open = (values: Values, previous = values) => createStorage(examples, values, previous, local, session);

interface Tab {
  id: string;
  title: string;
  query: string;
  variables: string | null;
  headers: string | null;
  operationName: string | null;
  response: null;
}
const tabsOf = (storage: ReturnType<typeof open>) =>
  JSON.parse(storage.getItem('graphiql:tabState') ?? 'null') as { activeTabIndex: number; tabs: Tab[] };
const keep = (storage: ReturnType<typeof open>, change: (tabs: Tab[]) => void) => {
  const state = tabsOf(storage);
  change(state.tabs);
  storage.keepTabs(state);
};

beforeEach(() => {
  local = memoryStore();
  session = memoryStore();
});

test('the first visit opens every example of the first part with its variables filled in', () => {
  const { activeTabIndex, tabs } = tabsOf(open(aurora));
  expect(activeTabIndex).toBe(0);
  expect(tabs.map(tab => [tab.id, tab.title, tab.variables])).toEqual([
    ['example-contact', 'Contact', '{"id": "contact_a"}'],
    ['example-viewer', 'Viewer', ''],
  ]);
});

test('GraphiQL finds the active tab by its operation and variables', () => {
  const storage = open(aurora);
  expect(storage.getItem('graphiql:query')).toBe(examples[0]?.query);
  expect(storage.getItem('graphiql:variables')).toBe('{"id": "contact_a"}');
  expect(storage.getItem('graphiql:headers')).toBeNull();
});

describe('what stays', () => {
  test('no token, in either store', () => {
    const storage = open(aurora);
    keep(storage, tabs => {
      for (const tab of tabs) {
        tab.headers = '{"Authorization": "Bearer secret"}';
      }
    });
    storage.setItem('graphiql:headers', '{"Authorization": "Bearer secret"}');
    storage.setItem(
      'graphiql:queries',
      JSON.stringify({ queries: [{ query: '{ viewer { role } }', headers: '{"Authorization": "Bearer secret"}' }] }),
    );
    for (const store of [local, session]) {
      const everything = Array.from({ length: store.length }, (_, i) => store.getItem(store.key(i) ?? ''));
      expect(everything.join('\n')).not.toContain('secret');
    }
    expect(session.getItem('graphiql:queries')).toContain('viewer');
  });

  test('variables that the reader wrote, for the session only', () => {
    const storage = open(aurora);
    keep(storage, tabs => {
      tabs[1]!.variables = '{"name": "Conceição"}';
    });
    expect(tabsOf(open(aurora)).tabs[1]?.variables).toBe('{"name": "Conceição"}');
    expect(local.getItem('taskmed:tabs')).not.toContain('Conceição');
  });

  test('operations, beyond the session', () => {
    keep(open(aurora), tabs => {
      tabs[1]!.query = 'query Viewer { viewer { name } }';
    });
    session = memoryStore();
    expect(tabsOf(open(aurora)).tabs[1]?.query).toBe('query Viewer { viewer { name } }');
  });

  test('an example that was not touched is not stored, so the next release may change it', () => {
    keep(open(aurora), () => {});
    expect(local.getItem('taskmed:tabs')).not.toContain('contact(id: $id)');
    expect(session.getItem('taskmed:variables')).toBe('{}');
  });
});

test('a late write of GraphiQL, or of the store of another session, changes nothing', () => {
  const storage = open(aurora);
  const late = JSON.stringify(tabsOf(storage));
  storage.keepTabs({ ...tabsOf(storage), activeTabIndex: 1 });
  storage.setItem('graphiql:tabState', late);
  storage.retire();
  storage.keepTabs(JSON.parse(late));
  expect(tabsOf(open(boaVista, aurora)).activeTabIndex).toBe(1);
});

test('in another clinic the examples and the ids the reader took from them are that clinic’s', () => {
  keep(open(aurora), tabs => {
    tabs[1]!.variables = '{"ids": ["contact_a"]}';
  });
  const { tabs } = tabsOf(open(boaVista, aurora));
  expect(tabs[0]?.variables).toBe('{"id": "contact_b"}');
  expect(tabs[1]?.variables).toBe('{"ids": ["contact_b"]}');
});

test('clearing brings the examples back', () => {
  const storage = open(aurora);
  keep(storage, tabs => {
    tabs.pop();
  });
  expect(tabsOf(open(aurora)).tabs).toHaveLength(1);
  storage.clear();
  expect(tabsOf(open(aurora)).tabs).toHaveLength(2);
});

test('what another version stored is passed over', () => {
  local.setItem('taskmed:tabs', '{');
  session.setItem('taskmed:variables', 'x');
  expect(tabsOf(open(aurora)).tabs).toHaveLength(2);
});

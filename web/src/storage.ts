import { type Example, opened } from './examples';
import { carryOver, resolve, type Values } from './values';

/** The part of the web's Storage that GraphiQL uses. */
type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'length'>;

interface Tab {
  id: string;
  title: string;
  /** null for an example as it ships: a newer version of it then shows up by itself. */
  query: string | null;
  operationName: string | null;
}
interface StoredTabs {
  activeTabIndex: number;
  tabs: Tab[];
}
interface LiveTabs {
  activeTabIndex: number;
  tabs: (Tab & { variables?: string | null })[];
}

export interface TabStore extends Store {
  /**
   * Keeps the tabs. GraphiQL's own way writes every state half a second late, the
   * first one included, over newer ones; it is passed over.
   */
  keepTabs: (tabs: LiveTabs) => void;
  /** From here on another store has the tabs. */
  retire: () => void;
}

const PREFIX = 'graphiql:';
const TABS = 'taskmed:tabs';
const VARIABLES = 'taskmed:variables';
/** How the page is laid out: nothing that concerns a patient or a right. */
const LAYOUT = ['docExplorerFlex', 'editorFlex', 'secondaryEditorFlex', 'visiblePlugin'];

/**
 * Where GraphiQL keeps what it would like to remember. A playground of a clinic
 * must not leave tokens or patients on the disk of a shared machine, so:
 *
 * - operations and the page's layout stay (localStorage);
 * - variables and history, which may name patients, end with the browser's
 *   session (sessionStorage);
 * - headers, which hold tokens, are never written at all: every tab gets them
 *   anew from the session.
 *
 * Variables of an example that nobody changed are not kept but filled in anew,
 * so that tomorrow's day view is tomorrow's.
 */
export function createStorage(
  examples: Example[],
  values: Values,
  previous: Values,
  local: Store,
  session: Store,
): TabStore {
  const byId = new Map(examples.map(example => [example.id, example]));
  const shipped = (example: Example) => resolve(example.variables, values);

  if (previous !== values) {
    const kept = readVariables(session);
    for (const [id, text] of Object.entries(kept)) {
      kept[id] = carryOver(text, previous, values);
    }
    session.setItem(VARIABLES, JSON.stringify(kept));
  }

  function liveTabs(): LiveTabs {
    const stored = readTabs(local) ?? {
      activeTabIndex: 0,
      tabs: opened(examples).map(({ id, operationName }) => ({ id, title: operationName, query: null, operationName })),
    };
    const kept = readVariables(session);
    return {
      activeTabIndex: stored.activeTabIndex,
      tabs: stored.tabs.map(tab => {
        const example = byId.get(tab.id);
        return {
          id: tab.id,
          title: tab.title,
          operationName: tab.operationName,
          query: tab.query ?? example?.query ?? '',
          variables: kept[tab.id] ?? (example ? shipped(example) : ''),
          hash: null,
          headers: null,
          response: null,
        };
      }),
    };
  }

  let retired = false;
  function keepTabs(live: LiveTabs): void {
    if (retired) {
      return;
    }
    const edited: Record<string, string> = {};
    const tabs = live.tabs.map(({ id, title, operationName, query, variables }): Tab => {
      const example = byId.get(id);
      if (variables && variables !== (example && shipped(example))) {
        edited[id] = variables;
      }
      return { id, title, operationName, query: query === example?.query ? null : query };
    });
    local.setItem(TABS, JSON.stringify({ activeTabIndex: live.activeTabIndex, tabs }));
    session.setItem(VARIABLES, JSON.stringify(edited));
  }

  const place = (key: string) => (LAYOUT.includes(key.slice(PREFIX.length)) ? local : session);

  return {
    keepTabs,
    retire: () => {
      retired = true;
    },
    get length() {
      return local.length + session.length;
    },
    getItem(key) {
      switch (key) {
        case `${PREFIX}tabState`:
          return JSON.stringify(liveTabs());
        // GraphiQL opens the tab that holds these, and begins one where none does.
        case `${PREFIX}query`:
        case `${PREFIX}variables`: {
          const { activeTabIndex, tabs } = liveTabs();
          return tabs[activeTabIndex]?.[key === `${PREFIX}query` ? 'query' : 'variables'] ?? null;
        }
        case `${PREFIX}headers`:
          return null;
        default:
          return place(key).getItem(key);
      }
    },
    setItem(key, value) {
      switch (key) {
        case `${PREFIX}tabState`:
        case `${PREFIX}query`:
        case `${PREFIX}variables`:
        case `${PREFIX}headers`:
        case `${PREFIX}theme`:
          break; // By keepTabs, nowhere, and by the page itself.
        default:
          place(key).setItem(key, withoutHeaders(value));
      }
    },
    removeItem(key) {
      place(key).removeItem(key);
    },
    clear() {
      for (const key of [TABS, VARIABLES]) {
        local.removeItem(key);
        session.removeItem(key);
      }
      for (const name of [...LAYOUT, 'queries', 'favorites']) {
        place(PREFIX + name).removeItem(PREFIX + name);
      }
    },
  };
}

/** History entries carry the headers they were sent with. */
function withoutHeaders(value: string): string {
  try {
    return JSON.stringify(JSON.parse(value), (key, item) => (key === 'headers' ? undefined : item));
  } catch {
    return value; // Not JSON: a number of pixels, a plugin's name.
  }
}

function readTabs(local: Store): StoredTabs | null {
  try {
    const stored = JSON.parse(local.getItem(TABS) ?? 'null') as StoredTabs | null;
    return stored && stored.tabs.length > 0 ? stored : null;
  } catch {
    return null;
  }
}

function readVariables(session: Store): Record<string, string> {
  try {
    return JSON.parse(session.getItem(VARIABLES) ?? '{}') as Record<string, string>;
  } catch {
    return {};
  }
}

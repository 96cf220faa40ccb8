import { type GraphiQLPlugin, pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { type Example, EXAMPLES, listed } from './examples';
import { ExamplesIcon } from './icons';
import { resolve, type Values } from './values';

/** Lists the examples and opens one: its tab if that is still there, a new one otherwise. */
function Examples({ values }: { values: Values }) {
  const { tabs, activeTabIndex, queryEditor, variableEditor } = useGraphiQL(
    pick('tabs', 'activeTabIndex', 'queryEditor', 'variableEditor'),
  );
  const { addTab, changeTab, setVisiblePlugin } = useGraphiQLActions();
  const [opening, setOpening] = useState<Example | null>(null);
  const [typed, setTyped] = useState('');
  const found = listed(EXAMPLES, typed);

  // A new tab is filled once GraphiQL has made it the active one.
  useEffect(() => {
    if (opening && !tabs[activeTabIndex]?.query) {
      queryEditor?.setValue(opening.query);
      variableEditor?.setValue(resolve(opening.variables, values));
      setOpening(null);
    }
  }, [opening, tabs, activeTabIndex, queryEditor, variableEditor, values]);

  const tabOf = (example: Example) =>
    tabs.findIndex(tab => tab.id === example.id || tab.query === example.query);

  const open = (example: Example) => {
    const index = tabOf(example);
    if (index >= 0) {
      changeTab(index);
    } else {
      addTab();
      setOpening(example);
    }
    // On a narrow screen the list covers the tab that was just opened.
    if (window.matchMedia('(max-width: 760px)').matches) {
      setVisiblePlugin(null);
    }
  };

  return (
    <section className="examples" aria-label="Examples">
      <h2>Examples</h2>
      <input
        type="search"
        placeholder="Find an example or a field"
        aria-label="Find an example or a field"
        value={typed}
        onChange={event => setTyped(event.target.value)}
      />
      {found.length === 0 && <p className="about">No example has this.</p>}
      {found.map(([group, examples]) => (
        <section key={group} aria-label={group}>
          <h3>{group}</h3>
          <ol>
            {examples.map(example => (
              <li key={example.id}>
                <button
                  type="button"
                  aria-current={tabOf(example) === activeTabIndex}
                  onClick={() => open(example)}
                >
                  <strong>{example.title}</strong>
                  {example.kind === 'mutation' && <span className="badge">{example.dryRun ? 'dry run' : 'writes'}</span>}
                  {example.kind === 'subscription' && <span className="badge">live</span>}
                  <span className="about">{example.about}</span>
                </button>
              </li>
            ))}
          </ol>
        </section>
      ))}
    </section>
  );
}

export function examplesPlugin(values: Values): GraphiQLPlugin {
  return { title: 'Examples', icon: ExamplesIcon, content: () => <Examples values={values} /> };
}

import { DOC_EXPLORER_PLUGIN } from '@graphiql/plugin-doc-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';
import { CostPanel } from './CostPanel';
import { type Config, keepSession, restoreSession, type Session, sessionHeaders } from './config';
import { EditorLook } from './EditorLook';
import { EXAMPLES } from './examples';
import { examplesPlugin } from './ExamplesPlugin';
import { createFetcher, runner } from './fetcher';
import { createOutcomeStore, ResponseFooter } from './ResponseFooter';
import { createStorage } from './storage';
import { useCostPanel } from './costSettings';
import { type Theme, useTheme } from './theme';
import { TopBar } from './TopBar';
import { fetchValues, type Values } from './values';

/** A session together with what the examples' placeholders mean in it. */
interface Stage {
  session: Session;
  values: Values;
  previous: Values;
}

export function App({ config }: { config: Config }) {
  const [themeChoice, theme, setThemeChoice] = useTheme();
  const [session, setSession] = useState(() => restoreSession(config, sessionStorage));
  const [stage, setStage] = useState<Stage | null>(null);

  useEffect(() => {
    keepSession(session, sessionStorage);
    let current = true;
    const run = session.token ? runner(config.endpoint, lookupHeaders(config, session)) : null;
    void fetchValues(run, new Date()).then(values => {
      if (current) {
        setStage(last => ({ session, values, previous: last?.values ?? values }));
      }
    });
    return () => {
      current = false;
    };
  }, [config, session]);

  return (
    <>
      <TopBar
        config={config}
        session={session}
        onSession={setSession}
        theme={themeChoice}
        onTheme={setThemeChoice}
      />
      <main className="stage" data-clinic={stage?.session.clinicId} data-role={stage?.session.role}>
        {stage && (
          // A new key for a new session: no answer of one clinic or role stays on
          // the screen under the name of another.
          <Workbench
            key={`${stage.session.clinicId} ${stage.session.role} ${stage.session.token}`}
            endpoint={config.endpoint}
            stage={stage}
            theme={theme}
          />
        )}
      </main>
    </>
  );
}

interface WorkbenchProps {
  endpoint: string;
  stage: Stage;
  theme: Theme;
}

function Workbench({ endpoint, stage, theme }: WorkbenchProps) {
  const panel = useCostPanel();
  const { asking } = panel;
  const { storage, fetcher, defaultHeaders, plugins, outcomes } = useMemo(() => {
    const headers = sessionHeaders(stage.session);
    const store = createOutcomeStore();
    return {
      storage: createStorage(EXAMPLES, stage.values, stage.previous, localStorage, sessionStorage),
      fetcher: createFetcher(endpoint, headers, store.set, asking),
      defaultHeaders: Object.keys(headers).length > 0 ? JSON.stringify(headers, null, 2) : '',
      plugins: [examplesPlugin(stage.values), HISTORY_PLUGIN],
      outcomes: store,
    };
  }, [endpoint, stage, asking]);
  useEffect(() => () => storage.retire(), [storage]);

  return (
    <div className="workbench">
      <GraphiQL
        fetcher={fetcher}
        storage={storage}
        onTabChange={storage.keepTabs}
        defaultHeaders={defaultHeaders}
        shouldPersistHeaders={false}
        defaultEditorToolsVisibility="variables"
        referencePlugin={DOC_EXPLORER_PLUGIN}
        plugins={plugins}
        forcedTheme={theme}
        schemaDescription
        inputValueDeprecation
      >
        <GraphiQL.Logo>
          <></>
        </GraphiQL.Logo>
        <GraphiQL.Footer>
          <ResponseFooter store={outcomes} open={panel.open} onOpen={panel.setOpen} />
        </GraphiQL.Footer>
        <EditorLook theme={theme} />
      </GraphiQL>
      {panel.open && (
        <CostPanel store={outcomes} asks={panel.asks} onAsks={panel.setAsks} onClose={() => panel.setOpen(false)} />
      )}
    </div>
  );
}

/**
 * In the demo the ids for the examples are looked up by the most able role, so
 * that an example shows a lesser role what it is refused and not a missing id.
 */
function lookupHeaders(config: Config, session: Session): Record<string, string> {
  const clinic = config.clinics.find(c => c.id === session.clinicId);
  return sessionHeaders({ ...session, token: clinic?.tokens.OWNER ?? session.token });
}

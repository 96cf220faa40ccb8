import { pick, useGraphiQL, useMonaco } from '@graphiql/react';
import { useEffect } from 'react';
import { EDITOR_THEMES, editorTheme } from './monaco';
import type { Theme } from './theme';

/** Gives the editors our colours and a size that fits a diary on a laptop, and keeps the active tab in view. */
export function EditorLook({ theme }: { theme: Theme }) {
  const monaco = useMonaco(state => state.monaco);
  const editors = useGraphiQL(pick('queryEditor', 'variableEditor', 'headerEditor', 'responseEditor'));

  useEffect(() => {
    if (!monaco) {
      return;
    }
    monaco.editor.defineTheme(EDITOR_THEMES.light, editorTheme('light'));
    monaco.editor.defineTheme(EDITOR_THEMES.dark, editorTheme('dark'));
    monaco.editor.setTheme(EDITOR_THEMES[theme]);
  }, [monaco, theme]);

  useEffect(() => {
    for (const editor of Object.values(editors)) {
      editor?.updateOptions({ fontSize: 13, lineHeight: 20 });
    }
  }, [editors]);

  // Ten tabs are more than most screens are wide.
  const activeTabIndex = useGraphiQL(state => state.activeTabIndex);
  useEffect(() => {
    document
      .querySelector(`#graphiql-session-tab-${activeTabIndex}`)
      ?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [activeTabIndex]);

  return null;
}

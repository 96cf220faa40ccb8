import { pick, useGraphiQL, useMonaco } from '@graphiql/react';
import { useEffect } from 'react';
import { EDITOR_THEMES, editorTheme } from './monaco';
import type { Theme } from './theme';

/** Gives the editors our colours and a size that fits a diary's answer on a laptop. */
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

  return null;
}

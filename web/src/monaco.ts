import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';
import type { Theme } from './theme';

/** The editor's language servers run in workers of their own, from our own origin. */
export function provideWorkers(): void {
  globalThis.MonacoEnvironment = {
    getWorker(_id: string, label: string): Worker {
      switch (label) {
        case 'json':
          return new JsonWorker();
        case 'graphql':
          return new GraphQLWorker();
        default:
          return new EditorWorker();
      }
    },
  };
}

/** GraphiQL draws its editors in the themes of these names; they are made ours. */
export const EDITOR_THEMES: Record<Theme, string> = { light: 'graphiql-LIGHT', dark: 'graphiql-DARK' };

interface ThemeData {
  base: 'vs' | 'vs-dark';
  inherit: boolean;
  rules: { token: string; foreground: string }[];
  colors: Record<string, string>;
}

export function editorTheme(theme: Theme): ThemeData {
  const dark = theme === 'dark';
  const accent = dark ? '#5eead4' : '#0f766e';
  const surface = dark ? '#17212b' : '#ffffff';
  const faint = dark ? '#5eead41f' : '#0f766e14';
  const rule = (token: string, light: string, night: string) => ({
    token,
    foreground: dark ? night : light,
  });
  return {
    base: dark ? 'vs-dark' : 'vs',
    inherit: true,
    rules: [
      rule('keyword.gql', 'a21caf', 'f0abfc'),
      rule('key.identifier.gql', '1d4ed8', '93c5fd'),
      rule('argument.identifier.gql', '6d28d9', 'c4b5fd'),
      rule('type.identifier.gql', 'b45309', 'fcd34d'),
      rule('string.gql', '15803d', '86efac'),
      rule('number.gql', 'b45309', 'fdba74'),
      rule('comment.gql', '64748b', '8b9db0'),
      rule('string.key.json', '1d4ed8', '93c5fd'),
      rule('string.value.json', '15803d', '86efac'),
      rule('number.json', 'b45309', 'fdba74'),
      rule('keyword.json', 'a21caf', 'f0abfc'),
    ],
    colors: {
      'editor.background': '#ffffff00',
      'editorGutter.background': '#ffffff00',
      'editorLineNumber.foreground': dark ? '#4b5d6e' : '#a3b3c2',
      'editorLineNumber.activeForeground': dark ? '#9fb2c4' : '#475569',
      'editor.selectionBackground': dark ? '#2dd4bf33' : '#0f766e26',
      'scrollbar.shadow': '#ffffff00',
      'textLink.foreground': accent,
      'textLink.activeForeground': accent,
      'editorLink.activeForeground': accent,
      'editorHoverWidget.background': surface,
      'editorSuggestWidget.background': surface,
      'editorSuggestWidget.selectedBackground': faint,
      'editorSuggestWidget.selectedForeground': accent,
      'editorWidget.background': surface,
      'editorWidget.resizeBorder': accent,
      'list.hoverBackground': faint,
      'list.highlightForeground': accent,
      'list.focusHighlightForeground': accent,
      'menu.background': surface,
      'menu.selectionBackground': faint,
      'menu.selectionForeground': accent,
      'quickInput.background': surface,
      'quickInputList.focusBackground': faint,
      'input.background': faint,
      focusBorder: accent,
    },
  };
}

import { useLayoutEffect, useState, useSyncExternalStore } from 'react';

export type ThemeChoice = 'system' | 'light' | 'dark';
export type Theme = 'light' | 'dark';

const KEY = 'taskmed:theme';

const media = () => window.matchMedia('(prefers-color-scheme: dark)');

function subscribe(changed: () => void): () => void {
  const query = media();
  query.addEventListener('change', changed);
  return () => query.removeEventListener('change', changed);
}

function stored(): ThemeChoice {
  const value = localStorage.getItem(KEY);
  return value === 'light' || value === 'dark' ? value : 'system';
}

export function nextTheme(choice: ThemeChoice): ThemeChoice {
  return choice === 'system' ? 'light' : choice === 'light' ? 'dark' : 'system';
}

/** The reader's choice, what it comes to on this system, and the way to change it. */
export function useTheme(): [ThemeChoice, Theme, (choice: ThemeChoice) => void] {
  const [choice, setChoice] = useState(stored);
  const systemIsDark = useSyncExternalStore(subscribe, () => media().matches);
  const theme = choice === 'system' ? (systemIsDark ? 'dark' : 'light') : choice;
  // Before any effect that draws with the theme's colours.
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = theme;
    if (choice === 'system') {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, choice);
    }
  }, [choice, theme]);
  return [choice, theme, setChoice];
}

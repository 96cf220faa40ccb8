import './styles/index.css';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { loadConfig } from './config';
import { provideWorkers } from './monaco';

provideWorkers();
// The editor is the largest part by far. GraphiQL asks for it once it is on the
// screen; by then it should be there.
void import('monaco-graphql/esm/monaco-editor.js');

const root = createRoot(document.getElementById('root') as HTMLElement);

// The editor measures its font once, when it is made.
Promise.all([loadConfig(), document.fonts.load('13px "Fira Code"')]).then(
  ([config]) => {
    document.title = `${config.title} playground`;
    root.render(<App config={config} />);
  },
  (error: unknown) => {
    root.render(
      <p className="fatal">The playground could not start: {error instanceof Error ? error.message : String(error)}</p>,
    );
  },
);

import './styles/index.css';
import { createRoot } from 'react-dom/client';
import { Dashboard } from './Dashboard';

createRoot(document.getElementById('root') as HTMLElement).render(<Dashboard />);

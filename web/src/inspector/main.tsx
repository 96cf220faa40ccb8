import './styles/index.css';
import { createRoot } from 'react-dom/client';
import { Inspector } from './Inspector';

createRoot(document.getElementById('root') as HTMLElement).render(<Inspector />);

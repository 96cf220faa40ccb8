import { expect, test } from 'vitest';
import { type Config, type DemoClinic, demoSession, keepSession, NOBODY, restoreSession, rolesOf, sessionHeaders } from './config';
import { memoryStore } from './memoryStore';

const clinics: DemoClinic[] = [
  { id: 'clinic_a', name: 'Aurora', slug: 'aurora', tokens: { FINANCE: 'a-f', OWNER: 'a-o', XRAY: 'a-x' } },
  { id: 'clinic_b', name: 'Boa Vista', slug: 'boa-vista', tokens: { OWNER: 'b-o' } },
];
const demo: Config = { endpoint: '/graphql', title: 'TaskMed', clinics, webhooks: '' };
const production: Config = { ...demo, clinics: [] };

test('roles are offered from the most able on, unknown ones last', () => {
  expect(rolesOf(clinics[0]!)).toEqual(['OWNER', 'FINANCE', 'XRAY']);
});

test('the demo begins as the owner of the first clinic', () => {
  expect(restoreSession(demo, memoryStore())).toEqual({ clinicId: 'clinic_a', role: 'OWNER', token: 'a-o' });
});

test('a change of clinic keeps the role where the clinic has it', () => {
  expect(demoSession(clinics, 'clinic_a', 'FINANCE').token).toBe('a-f');
  expect(demoSession(clinics, 'clinic_b', 'FINANCE')).toEqual({ clinicId: 'clinic_b', role: 'OWNER', token: 'b-o' });
});

test('a reload keeps who one was, with the token the server signs today', () => {
  const store = memoryStore();
  keepSession({ clinicId: 'clinic_a', role: 'FINANCE', token: 'of yesterday' }, store);
  expect(restoreSession(demo, store)).toEqual({ clinicId: 'clinic_a', role: 'FINANCE', token: 'a-f' });
  expect(restoreSession(production, store).token).toBe('of yesterday');
});

test('what cannot be read is nobody', () => {
  const store = memoryStore();
  store.setItem('taskmed:session', '{');
  expect(restoreSession(production, store)).toEqual(NOBODY);
});

test('the headers of a session', () => {
  expect(sessionHeaders({ clinicId: 'clinic_a', role: '', token: 't' })).toEqual({
    Authorization: 'Bearer t',
    'X-Clinic-Id': 'clinic_a',
  });
  expect(sessionHeaders(NOBODY)).toEqual({});
});

import { describe, expect, test } from 'vitest';
import { carryOver, dateValues, fetchValues, hasPlaceholders, resolve, type Run } from './values';

describe('resolve', () => {
  test('replaces names within JSON strings', () => {
    const text = '{"a": "{{today}}", "b": "on {{today}} by {{name}}"}';
    expect(JSON.parse(resolve(text, { today: '2026-11-22', name: 'Ana "Bia"' }))).toEqual({
      a: '2026-11-22',
      b: 'on 2026-11-22 by Ana "Bia"',
    });
  });

  test('leaves what has no value, and tells', () => {
    const text = resolve('{"id": "{{contactId}}"}', { today: '2026-11-22' });
    expect(text).toBe('{"id": "{{contactId}}"}');
    expect(hasPlaceholders(text)).toBe(true);
    expect(hasPlaceholders('{"id": "contact_1"}')).toBe(false);
  });
});

test('carryOver swaps the ids of one clinic for those of another, and nothing else', () => {
  const from = { contactId: 'contact_a', serviceId: 'service_a', today: '2026-11-22' };
  const to = { contactId: 'contact_b', today: '2026-11-23' };
  expect(carryOver('{"c": "contact_a", "s": "service_a", "d": "2026-11-22"}', from, to)).toBe(
    '{"c": "contact_b", "s": "service_a", "d": "2026-11-22"}',
  );
});

describe('dates', () => {
  test('are those of the clinic, not of the browser', () => {
    // 01:30 UTC on the 23rd is still the 22nd in São Paulo.
    expect(dateValues('America/Sao_Paulo', new Date('2026-11-23T01:30:00Z'))).toEqual({
      dayStart: '2026-11-22T00:00:00-03:00',
      dayEnd: '2026-11-23T00:00:00-03:00',
      today: '2026-11-22',
      tomorrow: '2026-11-23',
      todayStart: '2026-11-22T00:00:00-03:00',
      tomorrowStart: '2026-11-23T00:00:00-03:00',
      nextWeekStart: '2026-11-30T00:00:00-03:00',
    });
  });

  test('take the offset that holds at each midnight', () => {
    // Lisbon leaves summer time at 02:00 on 2026-10-25.
    const values = dateValues('Europe/Lisbon', new Date('2026-10-25T12:00:00Z'));
    expect(values.todayStart).toBe('2026-10-25T00:00:00+01:00');
    expect(values.tomorrowStart).toBe('2026-10-26T00:00:00+00:00');
  });

  test('cross the end of a year', () => {
    const values = dateValues('Asia/Kolkata', new Date('2026-12-31T12:00:00Z'));
    expect(values.tomorrow).toBe('2027-01-01');
    expect(values.tomorrowStart).toBe('2027-01-01T00:00:00+05:30');
  });
});

describe('fetchValues', () => {
  const now = new Date('2026-11-22T12:00:00Z');

  test('prefers the contact of an appointment: that one has something to show', async () => {
    const run: Run = async query =>
      query.includes('PlaygroundClinic')
        ? {
            data: {
              viewer: {
                clinic: {
                  timeZone: 'America/Sao_Paulo',
                  practitioners: { nodes: [{ id: 'practitioner_1', services: { nodes: [{ id: 'service_1' }] } }] },
                },
              },
              contacts: { nodes: [{ id: 'contact_1' }] },
            },
          }
        : {
            data: {
              appointments: { nodes: [{ id: 'appointment_1', startsAt: '2026-11-24T01:00:00Z', contact: { id: 'contact_2' } }] },
              availability: [{ startsAt: '2026-11-23T09:00:00-03:00', endsAt: '2026-11-23T09:30:00-03:00' }],
            },
          };
    expect(await fetchValues(run, now)).toMatchObject({
      today: '2026-11-22',
      // 01:00 UTC on the 24th is the evening of the 23rd there.
      dayStart: '2026-11-23T00:00:00-03:00',
      dayEnd: '2026-11-24T00:00:00-03:00',
      practitionerId: 'practitioner_1',
      serviceId: 'service_1',
      contactId: 'contact_2',
      appointmentId: 'appointment_1',
      freeSlotStart: '2026-11-23T09:00:00-03:00',
      freeSlotEnd: '2026-11-23T09:30:00-03:00',
    });
  });

  test('a refusal or a server that is down leaves the dates', async () => {
    const refused = await fetchValues(async () => ({ data: null }), now);
    const down = await fetchValues(() => Promise.reject(new Error('down')), now);
    for (const values of [refused, down]) {
      expect(values.today).toMatch(/^2026-11-2[123]$/);
      expect(values.contactId).toBeUndefined();
    }
  });

  test('nobody asks nothing', async () => {
    expect(Object.keys(await fetchValues(null, now))).not.toContain('contactId');
  });
});

import ICAL from 'ical.js';
import { expect, test, vi } from 'vitest';
import feed from '../../internal/calendar/testdata/feed.ics?raw';
import list from '../../internal/calendar/testdata/feed.json?raw';

// The file that the server writes for a calendar's subscribers, and what it means:
// internal/calendar/file_test.go keeps both.
const wanted: { UID: string; Summary: string; Status: string; Start: string; End: string }[] = JSON.parse(list);

test('a feed is read by ical.js without a warning, at the right times', () => {
  const warned = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error'), vi.spyOn(console, 'log')];
  ICAL.design.strict = true;
  const calendar = new ICAL.Component(ICAL.parse(feed));
  for (const zone of calendar.getAllSubcomponents('vtimezone')) {
    ICAL.TimezoneService.register(zone);
  }
  const events = calendar.getAllSubcomponents('vevent').map(component => new ICAL.Event(component));
  expect(
    events.map(event => ({
      UID: event.uid,
      Summary: event.summary,
      Status: event.component.getFirstPropertyValue('status'),
      Start: event.startDate.toJSDate().getTime(),
      End: event.endDate.toJSDate().getTime(),
    })),
  ).toEqual(wanted.map(event => ({ ...event, Start: Date.parse(event.Start), End: Date.parse(event.End) })));
  for (const line of feed.split('\r\n')) {
    expect(new TextEncoder().encode(line).length).toBeLessThanOrEqual(75);
  }
  for (const spy of warned) {
    expect(spy).not.toHaveBeenCalled();
  }
});

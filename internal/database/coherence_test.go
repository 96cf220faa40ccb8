package database_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// caches is a Coherence that notes what it is told, in order.
type caches struct {
	// before, if not nil, decides whether Raise succeeds.
	before func(clinic uuid.UUID, tags []touched.Tag) error

	tags     [][]touched.Tag
	outcomes []touched.Outcome
	awaited  []string
}

func (c *caches) Raise(_ context.Context, clinic uuid.UUID, tags []touched.Tag) (func(context.Context, touched.Outcome), error) {
	c.tags = append(c.tags, tags)
	if c.before != nil {
		if err := c.before(clinic, tags); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, outcome touched.Outcome) {
		if ctx.Err() == nil {
			c.outcomes = append(c.outcomes, outcome)
		}
	}, nil
}

func (c *caches) AwaitNotified(_ context.Context, token string) error {
	c.awaited = append(c.awaited, token)
	return nil
}

type heard struct {
	Clinic *uuid.UUID    `json:"c"`
	Tags   []touched.Tag `json:"t"`
	Token  string        `json:"k"`
}

// office is a clinic with a cached API and a psql that listens.
type office struct {
	*testkit.Database
	clinic *testkit.Clinic
	ctx    context.Context // the clinic's owner's
	db     *database.DB
	caches *caches
	psql   *pgx.Conn
}

func newOffice(t *testing.T) *office {
	t.Helper()
	d := testkit.NewDatabase(t)
	o := &office{Database: d, clinic: d.NewClinic(t, "here"), caches: &caches{}, psql: d.Connect(t, d.SuperuserURL)}
	o.ctx = o.clinic.As(t.Context(), models.RoleOwner)
	var err error
	o.db, err = database.Open(t.Context(), database.Config{URL: d.AppURL, MaxConns: 2, Coherence: o.caches})
	require.NoError(t, err)
	t.Cleanup(o.db.Close)
	_, err = o.psql.Exec(t.Context(), "LISTEN "+database.NotifyChannel)
	require.NoError(t, err)
	return o
}

// notifications are all that were sent since the last time: Postgres keeps their
// order, so it notifies itself and waits for that.
func (o *office) notifications(t *testing.T) []heard {
	t.Helper()
	mark := uuid.NewString()
	_, err := o.psql.Exec(t.Context(), "SELECT pg_notify($1, $2)", database.NotifyChannel, `{"k": "`+mark+`"}`)
	require.NoError(t, err)
	var all []heard
	for {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		notification, err := o.psql.WaitForNotification(ctx)
		done()
		require.NoError(t, err)
		require.Less(t, len(notification.Payload), 8000)
		var h heard
		require.NoError(t, json.Unmarshal([]byte(notification.Payload), &h))
		if h.Token == mark {
			return all
		}
		all = append(all, h)
	}
}

func (o *office) rename(ctx context.Context, db *database.DB, contact int) error {
	return db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE contacts SET notes = notes || 'x', source = 'y' WHERE clinic_id = ? AND id = ?", o.clinic.ID, o.clinic.Contacts[contact]).Error
	})
}

func (o *office) contactTags(contact int) []touched.Tag {
	return []touched.Tag{touched.Of("contact/updated"), touched.Entity(models.KindContact, o.clinic.Contacts[contact])}
}

func TestCoherence_AWriteOfTheAPIIsRaisedAndNotNotified(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.rename(o.ctx, o.db, 0))
	require.Len(t, o.caches.tags, 1)
	require.ElementsMatch(t, o.contactTags(0), o.caches.tags[0])
	require.Equal(t, []touched.Outcome{touched.Committed}, o.caches.outcomes)
	require.Empty(t, o.caches.awaited)
	require.Empty(t, o.notifications(t))

	// The next transaction on the connection begins with nothing collected.
	require.NoError(t, o.db.InTenant(o.ctx, func(tx *gorm.DB) error { return tx.Exec("SELECT 1").Error }))
	require.NoError(t, o.rename(o.ctx, o.db, 1))
	require.Len(t, o.caches.tags, 2, "who changes nothing raises nothing")
	require.ElementsMatch(t, o.contactTags(1), o.caches.tags[1])
}

func TestCoherence_EveryOtherWriterNotifies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	expected := heard{Clinic: &o.clinic.ID, Tags: o.contactTags(0)}
	o.Exec(t, "UPDATE contacts SET notes = 'psql' WHERE id = $1", o.clinic.Contacts[0])
	got := o.notifications(t)
	require.Len(t, got, 1)
	require.Equal(t, expected.Clinic, got[0].Clinic)
	require.ElementsMatch(t, expected.Tags, got[0].Tags)

	// The owner, under the clinic's row-level security.
	owner := o.Connect(t, o.OwnerURL)
	_, err := owner.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", o.clinic.ID.String())
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), "UPDATE contacts SET notes = 'owner' WHERE id = $1", o.clinic.Contacts[0])
	require.NoError(t, err)
	require.Len(t, o.notifications(t), 1)

	// An API without a cache.
	require.NoError(t, o.rename(o.ctx, o.DB, 0))
	got = o.notifications(t)
	require.Len(t, got, 1)
	require.ElementsMatch(t, expected.Tags, got[0].Tags)
	require.Empty(t, o.caches.tags)

	o.Exec(t, "TRUNCATE slot_holds")
	got = o.notifications(t)
	require.Len(t, got, 1)
	require.Nil(t, got[0].Clinic, "every clinic's")
}

func TestCoherence_ManyChangesAreTheWholeClinics(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Exec(t, "INSERT INTO contacts (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'c' || n FROM generate_series(1, 40) n", o.clinic.ID)
	for _, heard := range o.notifications(t) {
		require.NotEmpty(t, heard.Tags, "forty are named one by one")
	}
	o.Exec(t, "INSERT INTO contacts (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'd' || n FROM generate_series(1, 2000) n", o.clinic.ID)
	got := o.notifications(t)
	require.NotEmpty(t, got)
	require.Contains(t, got, heard{Clinic: &o.clinic.ID})

	// One at a time, but many in one transaction: the queue does not fill up.
	tx, err := o.psql.Begin(t.Context())
	require.NoError(t, err)
	for range 500 {
		_, err := tx.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, gen_random_uuid(), 'e')", o.clinic.ID)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	got = o.notifications(t)
	require.Contains(t, got, heard{Clinic: &o.clinic.ID})
	require.Less(t, len(got), 210)

	require.NoError(t, o.db.InTenant(o.ctx, func(tx *gorm.DB) error {
		for range 150 {
			if err := tx.Exec("INSERT INTO contacts (clinic_id, id, name) VALUES (?, gen_random_uuid(), 'f')", o.clinic.ID).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	require.NotEqual(t, []touched.Tag{touched.Everything}, o.caches.tags[0], "150 and what lists depend on")
	require.Less(t, len(o.caches.tags[0]), 200)
	require.NoError(t, o.db.InTenant(o.ctx, func(tx *gorm.DB) error {
		for range 401 {
			if err := tx.Exec("INSERT INTO contacts (clinic_id, id, name) VALUES (?, gen_random_uuid(), 'g')", o.clinic.ID).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	require.Equal(t, []touched.Tag{touched.Everything}, o.caches.tags[1])
}

func TestCoherence_WhatIsRolledBackIsNotRaised(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refused := errors.New("refused")
	require.ErrorIs(t, o.db.InTenant(o.ctx, func(tx *gorm.DB) error {
		require.NoError(t, tx.Exec("UPDATE contacts SET notes = 'x' WHERE clinic_id = ?", o.clinic.ID).Error)
		return refused
	}), refused)
	ctx, unit := o.db.WithUnit(o.ctx)
	require.NoError(t, unit.Begin(ctx))
	require.NoError(t, o.rename(ctx, o.db, 0))
	unit.Rollback(ctx)
	require.Empty(t, o.caches.tags)
	require.Empty(t, o.notifications(t))
}

func TestCoherence_SettlesAlsoWhenTheCommitIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	// The constraint looks at the commit only.
	o.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$`)
	o.Exec(t, `CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON contacts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	require.Error(t, o.rename(o.ctx, o.db, 0))
	require.Len(t, o.caches.tags, 1)
	require.Equal(t, []touched.Outcome{touched.RolledBack}, o.caches.outcomes)
}

func TestCoherence_AnUnknownOutcomeIsSettledAsOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cut, cancel := context.WithCancel(o.ctx)
	o.caches.before = func(uuid.UUID, []touched.Tag) error {
		cancel() // the client is gone before the commit is sent
		return nil
	}
	err := o.rename(cut, o.db, 0)
	var unknown *models.Error
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, models.OutcomeUnknown, unknown.Code)
	require.Equal(t, []touched.Outcome{touched.Unknown}, o.caches.outcomes, "and in a context that lives")
}

func TestCoherence_WhereRaiseFailsTheTransactionNotifies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.caches.before = func(uuid.UUID, []touched.Tag) error { return errors.New("no Redis") }
	require.NoError(t, o.rename(o.ctx, o.db, 0))
	got := o.notifications(t)
	require.Len(t, got, 1)
	require.ElementsMatch(t, o.contactTags(0), got[0].Tags)
	require.Equal(t, &o.clinic.ID, got[0].Clinic)
	require.Equal(t, []string{got[0].Token}, o.caches.awaited, "it waits for its own")

	require.NoError(t, o.db.InTenant(o.ctx, func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO contacts (clinic_id, id, name) SELECT ?, gen_random_uuid(), 'c' FROM generate_series(1, 300)", o.clinic.ID).Error
	}))
	got = o.notifications(t)
	require.Len(t, got, 1)
	require.Nil(t, got[0].Tags)
	require.Equal(t, got[0].Token, o.caches.awaited[1])
}

func TestCoherence_SettlesWhenTheWorkPanics(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Panics(t, func() {
		_ = o.db.InTenant(o.ctx, func(tx *gorm.DB) error {
			require.NoError(t, tx.Exec("UPDATE contacts SET notes = 'x' WHERE clinic_id = ?", o.clinic.ID).Error)
			panic("a mistake of ours")
		})
	})
	require.Empty(t, o.caches.tags, "nothing had been raised")
	require.NoError(t, o.rename(o.ctx, o.db, 0), "the connection is whole")
}

// What is read without being declared keeps the answer out of every cache.
func TestReads_FailClosed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reads := map[string]func(ctx context.Context) error{
		"Rows": func(ctx context.Context) error {
			_, err := database.Rows[models.Contact](ctx, o.db, "SELECT id FROM contacts")
			return err
		},
		"Find": func(ctx context.Context) error {
			_, err := database.Find[models.Contact](ctx, o.db, func(tx *gorm.DB) *gorm.DB { return tx.Select("id") })
			return err
		},
		"Value": func(ctx context.Context) error {
			_, err := database.Value[int](ctx, o.db, "SELECT count(*)::int FROM contacts")
			return err
		},
	}
	for name, read := range reads {
		ctx, collector := touched.Collect(o.ctx)
		require.NoError(t, read(ctx))
		_, reason := collector.Tags()
		require.NotEmpty(t, reason, name)

		ctx, collector = touched.Collect(o.ctx)
		require.NoError(t, read(database.Depends(ctx)))
		_, reason = collector.Tags()
		require.NotEmpty(t, reason, "%s: no tags are no declaration", name)

		ctx, collector = touched.Collect(o.ctx)
		require.NoError(t, read(database.Depends(ctx, touched.Of("contact/list"))))
		tags, reason := collector.Tags()
		require.Empty(t, reason, name)
		require.Equal(t, []touched.Tag{"contact/list"}, tags)
	}

	ctx, collector := touched.Collect(o.ctx)
	require.NoError(t, o.rename(ctx, o.db, 0))
	_, reason := collector.Tags()
	require.NotEmpty(t, reason, "a write's answer is never kept")
}

// Who changes a clinic's zone waits for those who booked by the old one.
func TestCoherence_AZoneIsNotReplacedUnderABooking(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	booking := o.Connect(t, o.SuperuserURL)
	tx, err := booking.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)",
		o.clinic.ID, models.NewID(), o.clinic.Contacts[0], o.clinic.Practitioners[0],
		time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	changing := o.Connect(t, o.SuperuserURL)
	_, err = changing.Exec(t.Context(), "SET lock_timeout = '100ms'")
	require.NoError(t, err)
	_, err = changing.Exec(t.Context(), "UPDATE clinics SET time_zone = 'UTC' WHERE id = $1", o.clinic.ID)
	require.ErrorContains(t, err, "lock timeout")
	require.NoError(t, tx.Commit(t.Context()))
	_, err = changing.Exec(t.Context(), "UPDATE clinics SET time_zone = 'UTC' WHERE id = $1", o.clinic.ID)
	require.NoError(t, err)

	got := o.notifications(t)
	require.Len(t, got, 3, "the booking, and of the zone's change the clinic and the days of its appointments")
	require.Subset(t, got[0].Tags, []touched.Tag{touched.OnDay("2026-11-22"), touched.OnDay("2026-11-23")}, "both days that it touches in São Paulo")
	require.True(t, got[1].Tags == nil || got[2].Tags == nil, fmt.Sprint("a zone concerns everything: ", got[1:]))
}

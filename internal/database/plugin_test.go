package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// errUndo takes a test's transaction back.
var errUndo = gorm.ErrInvalidTransaction

func TestPlugin_RefusesEveryStatementWithoutAScope(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	id := clinic.Contacts[0]
	for name, statement := range map[string]func(*gorm.DB) error{
		"query":  func(db *gorm.DB) error { return db.Where("id = ?", id).Find(&[]models.Contact{}).Error },
		"first":  func(db *gorm.DB) error { return db.First(&models.Contact{}, "id = ?", id).Error },
		"count":  func(db *gorm.DB) error { return db.Model(&models.Contact{}).Count(new(int64)).Error },
		"pluck":  func(db *gorm.DB) error { return db.Model(&models.Contact{}).Pluck("id", &[]uuid.UUID{}).Error },
		"create": func(db *gorm.DB) error { return db.Create(&models.Contact{ID: models.NewID(), Name: "x"}).Error },
		"update": func(db *gorm.DB) error {
			return db.Model(&models.Contact{}).Where("id = ?", id).Update("name", "x").Error
		},
		"save":   func(db *gorm.DB) error { return db.Save(&models.Contact{ClinicID: clinic.ID, ID: id, Name: "x"}).Error },
		"delete": func(db *gorm.DB) error { return db.Where("id = ?", id).Delete(&models.WorkingHour{}).Error },
		"row":    func(db *gorm.DB) error { return db.Raw("SELECT name FROM contacts").Row().Err() },
		"rows": func(db *gorm.DB) error {
			rows, err := db.Model(&models.Contact{}).Rows()
			if err == nil {
				err = rows.Close()
			}
			return err
		},
		"raw":  func(db *gorm.DB) error { return db.Raw("SELECT 1").Find(new(int)).Error },
		"scan": func(db *gorm.DB) error { return db.Raw("SELECT 1").Scan(new(int)).Error },
		"exec": func(db *gorm.DB) error { return db.Exec("SELECT 1").Error },
	} {
		if name == "row" {
			// Row has no error of its own to give: what it cannot run is nil.
			require.Nil(t, d.DB.ORM(t.Context()).Raw("SELECT name FROM contacts").Row(), name)
			continue
		}
		require.ErrorIs(t, statement(d.DB.ORM(t.Context())), tenant.ErrNoScope, name)
	}

	// The same statements with a scope run.
	scoped := d.DB.ORM(clinic.As(t.Context(), models.RoleOwner))
	var contacts []models.Contact
	require.NoError(t, scoped.Where("id = ?", id).Find(&contacts).Error)
	require.Len(t, contacts, 1)
	var names string
	require.NoError(t, scoped.Raw("SELECT name FROM contacts WHERE id = ?", id).Row().Scan(&names))
	require.Equal(t, "Ana Souza", names)
	require.NoError(t, scoped.Exec("SELECT 1").Error)
}

func TestPlugin_RefusesAChangeThatNamesNoRow(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	scoped := func() *gorm.DB { return d.DB.ORM(clinic.As(t.Context(), models.RoleOwner)) }
	for name, err := range map[string]error{
		"delete":                    scoped().Delete(&models.WorkingHour{}).Error,
		"delete of a slice":         scoped().Delete(&[]models.WorkingHour{}).Error,
		"update":                    scoped().Model(&models.Contact{}).Update("notes", "x").Error,
		"updates":                   scoped().Model(&models.Contact{}).Updates(map[string]any{"notes": "x"}).Error,
		"updates of a slice":        scoped().Model(&[]models.Contact{}).Updates(map[string]any{"notes": "x"}).Error,
		"a row with a clinic alone": scoped().Delete(&models.WorkingHour{ClinicID: clinic.ID}).Error,
		"joined onto nothing":       scoped().Clauses(clause.Returning{}).Delete(&models.WorkingHour{}).Error,
	} {
		require.ErrorIs(t, err, gorm.ErrMissingWhereClause, name)
	}
	require.Equal(t, 20, d.Count(t, "SELECT count(*) FROM working_hours"))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM contacts WHERE notes IS NOT NULL"))

	// One row that is named is changed, and no other.
	gone := scoped().Where("practitioner_id = ? AND weekday = 1", clinic.Practitioners[0]).Delete(&models.WorkingHour{})
	require.NoError(t, gone.Error)
	require.EqualValues(t, 2, gone.RowsAffected)
	changed := scoped().Model(&models.Contact{ID: clinic.Contacts[0]}).Updates(map[string]any{"notes": "x"})
	require.NoError(t, changed.Error)
	require.EqualValues(t, 1, changed.RowsAffected)
}

func TestPlugin_WritesForTheScopesClinicOnly(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	here, there := d.NewClinic(t, "here"), d.NewClinic(t, "there")
	scoped := func() *gorm.DB { return d.DB.ORM(here.As(t.Context(), models.RoleOwner)) }
	fresh := func(clinic uuid.UUID) *models.Contact {
		return &models.Contact{ClinicID: clinic, ID: models.NewID(), Name: "Rui", Status: models.ContactStatusActive, Sex: models.AdministrativeSexUnknown, OtherPhones: models.Texts{}, Tags: models.Texts{}}
	}

	contact := fresh(uuid.Nil)
	require.NoError(t, scoped().Create(contact).Error)
	require.Equal(t, here.ID, contact.ClinicID, "the clinic is the scope's")
	require.NoError(t, scoped().Create([]*models.Contact{fresh(here.ID), fresh(uuid.Nil)}).Error)
	require.ErrorIs(t, scoped().Create(fresh(there.ID)).Error, database.ErrForeignClinic)
	require.ErrorIs(t, scoped().Create([]*models.Contact{fresh(here.ID), fresh(there.ID)}).Error, database.ErrForeignClinic)
	require.ErrorIs(t, scoped().CreateInBatches([]*models.Contact{fresh(there.ID), fresh(here.ID)}, 1).Error, database.ErrForeignClinic)
	require.Error(t, scoped().Model(&models.Contact{}).Create(map[string]any{"clinic_id": there.ID, "id": models.NewID(), "name": "Rui"}).Error,
		"rows without a type are not understood, so they are refused")
	require.Equal(t, 6, d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1", here.ID))
	require.Equal(t, 3, d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1", there.ID))
}

func TestPlugin_NoChangeReachesOrMovesARowAcrossClinics(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testkit.Database) string{
		"as the application": func(d *testkit.Database) string { return d.AppURL },
		// Past row-level security, so that the plugin is all there is.
		"as the superuser": func(d *testkit.Database) string { return d.SuperuserURL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testkit.NewDatabase(t)
			db, err := database.Open(t.Context(), database.Config{URL: url(d), AcquireTimeout: 20 * time.Second})
			require.NoError(t, err)
			defer db.Close()
			nothingCrosses(t, d, db)
		})
	}
}

func nothingCrosses(t *testing.T, d *testkit.Database, db *database.DB) {
	t.Helper()
	here, there := d.NewClinic(t, "here"), d.NewClinic(t, "there")
	scoped := func() *gorm.DB { return db.ORM(here.As(t.Context(), models.RoleOwner)) }
	own, foreign := here.Contacts[0], there.Contacts[0]

	// A foreign row is not found, by id, by condition or by a struct that says
	// it is the other clinic's.
	require.ErrorIs(t, scoped().Take(&models.Contact{}, "id = ?", foreign).Error, gorm.ErrRecordNotFound)
	require.ErrorIs(t, scoped().Take(&models.Contact{}, "id = ? OR true AND clinic_id = ?", foreign, there.ID).Error, gorm.ErrRecordNotFound)
	for name, change := range map[string]*gorm.DB{
		"update":         scoped().Model(&models.Contact{}).Where("id = ?", foreign).Update("notes", "x"),
		"update by or":   scoped().Model(&models.Contact{}).Where("id = ?", foreign).Or("id = ?", foreign).Update("notes", "x"),
		"their struct":   scoped().Model(&models.Contact{ClinicID: there.ID, ID: foreign}).Updates(map[string]any{"notes": "x"}),
		"delete":         scoped().Where("practitioner_id = ?", there.Practitioners[0]).Delete(&models.WorkingHour{}),
		"delete, always": scoped().Where("1 = 1 OR clinic_id = ?", there.ID).Where("clinic_id = ?", there.ID).Delete(&models.WorkingHour{}),
	} {
		require.NoError(t, change.Error, name)
		require.Zero(t, change.RowsAffected, name)
	}

	// Own rows keep their clinic and id, whatever is saved.
	var contact models.Contact
	require.NoError(t, scoped().Take(&contact, "id = ?", own).Error)
	require.NoError(t, scoped().Model(&contact).Updates(&models.Contact{ClinicID: there.ID, Name: "Outra"}).Error)
	require.NoError(t, scoped().Model(&models.Contact{ID: own}).Updates(map[string]any{"clinic_id": there.ID, "id": models.NewID(), "notes": "x"}).Error)
	require.NoError(t, scoped().Model(&models.Contact{ID: own}).UpdateColumn("clinic_id", there.ID).Error)
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1 AND id = $2 AND name = 'Outra' AND notes = 'x'", here.ID, own))

	// Save finds no row of ours with that clinic, and may then not make one.
	contact.ClinicID = there.ID
	require.Error(t, scoped().Save(&contact).Error)
	stray := models.Contact{ClinicID: there.ID, ID: foreign, Name: "Roubado", Status: models.ContactStatusActive, Sex: models.AdministrativeSexUnknown, OtherPhones: models.Texts{}, Tags: models.Texts{}}
	require.Error(t, scoped().Save(&stray).Error)

	require.Equal(t, 3, d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1 AND name <> 'Roubado' AND notes IS NULL", there.ID))
	require.Equal(t, 3, d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1", here.ID))
	require.Equal(t, 20, d.Count(t, "SELECT count(*) FROM working_hours WHERE clinic_id = $1", there.ID))
}

func TestPlugin_BindsSubqueriesToTheClinic(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	here, there := d.NewClinic(t, "here"), d.NewClinic(t, "there")
	ctx := here.As(t.Context(), models.RoleOwner)
	everywhere := append(append([]uuid.UUID{}, here.Practitioners...), there.Practitioners...)

	var hours []models.WorkingHour
	require.NoError(t, d.DB.InTenant(ctx, func(tx *gorm.DB) error {
		practitioners := tx.Model(&models.Practitioner{}).Select("id").Where("id IN ?", everywhere)
		return tx.Where("practitioner_id IN (?)", practitioners).Find(&hours).Error
	}))
	require.Len(t, hours, 20)
	for _, hour := range hours {
		require.Equal(t, here.ID, hour.ClinicID)
	}
	// A subquery that brings no clinic of its own is bound by the connection.
	var count int64
	require.NoError(t, d.DB.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM (SELECT * FROM practitioners) p").Find(&count).Error
	}))
	require.EqualValues(t, 2, count)
}

func TestPlugin_RefusesWhatIsNoTenantsTable(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	type clinicSlug struct{ Slug string }
	scoped := d.DB.ORM(clinic.As(t.Context(), models.RoleOwner))
	require.Error(t, scoped.Find(&[]clinicSlug{}).Error)
	require.Error(t, scoped.Create(&clinicSlug{Slug: "x"}).Error)
	require.Error(t, scoped.Where("slug = 'here'").Delete(&clinicSlug{}).Error)
}

func TestInTenant_CommitsOrTakesBack(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	ctx := clinic.As(t.Context(), models.RoleOwner)
	rename := func(name string, err error) func(*gorm.DB) error {
		return func(tx *gorm.DB) error {
			if failed := tx.Model(&models.Contact{ID: clinic.Contacts[0]}).Update("name", name).Error; failed != nil {
				return failed
			}
			return err
		}
	}
	name := func(name string) int {
		return d.Count(t, "SELECT count(*) FROM contacts WHERE id = $1 AND name = $2", clinic.Contacts[0], name)
	}
	require.NoError(t, d.DB.InTenant(ctx, rename("Um", nil)))
	require.Equal(t, 1, name("Um"))
	require.ErrorIs(t, d.DB.InTenant(ctx, rename("Dois", errUndo)), errUndo)
	d.Rehearsed(t, ctx, func(ctx context.Context) { require.NoError(t, d.DB.InTenant(ctx, rename("Três", nil))) })
	require.PanicsWithValue(t, "no", func() {
		_ = d.DB.InTenant(ctx, func(tx *gorm.DB) error {
			if err := rename("Quatro", nil)(tx); err != nil {
				return err
			}
			panic("no")
		})
	})
	require.Equal(t, 1, name("Um"))
}

// GORM keeps the values it scans into for the next request; what it hands out
// where scanning fails held the last request's row.
func TestPlugin_AStatementThatFailsLeavesNothingOfTheLastOne(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	first, second := d.NewClinic(t, "first"), d.NewClinic(t, "second")
	// Without the plugin, on a connection of the owner's: the mistake is GORM's.
	bare, err := gorm.Open(postgres.Open(d.SuperuserURL), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	connections, err := bare.DB()
	require.NoError(t, err)
	defer connections.Close()
	leaks := func(own, other *gorm.DB, read func(*gorm.DB, any) error) (leaked int) {
		for range 50 {
			require.NoError(t, read(own.Raw("SELECT id, clinic_id FROM contacts WHERE clinic_id = ?", first.ID), &[]*seen{}))
			var list []*seen
			require.Error(t, read(other.Raw("SELECT 'x' AS id, 'y' AS clinic_id"), &list))
			var one seen
			require.Error(t, read(other.Raw("SELECT 'x' AS id, 'y' AS clinic_id"), &one))
			for _, row := range append(list, &one) {
				if row.ClinicID != uuid.Nil || row.ID != uuid.Nil {
					leaked++
				}
			}
		}
		return leaked
	}
	find := func(db *gorm.DB, into any) error { return db.Find(into).Error }
	scan := func(db *gorm.DB, into any) error { return db.Scan(into).Error }
	require.Positive(t, leaks(bare, bare, find), "without the plugin")
	require.Positive(t, leaks(bare, bare, scan), "without the plugin")

	own, other := d.DB.ORM(first.As(t.Context(), models.RoleOwner)), d.DB.ORM(second.As(t.Context(), models.RoleOwner))
	require.Zero(t, leaks(own, other, find))
	require.Error(t, scan(own.Raw("SELECT id, clinic_id FROM contacts"), &[]*seen{}), "Scan passes by the plugin")
	require.Error(t, own.Model(&models.Contact{}).Where("id = ?", first.Contacts[0]).Scan(&seen{}).Error)

	// What a failed statement was to give back is cleared, too.
	contact := &models.Contact{ID: first.Contacts[0]}
	err = own.Model(contact).Clauses(clause.Returning{Columns: []clause.Column{{Name: "'x' AS id", Raw: true}, {Name: "clinic_id"}}}).
		Where("id = ?", contact.ID).Update("name", "x").Error
	require.Error(t, err)
	require.Equal(t, models.Contact{}, *contact)
}

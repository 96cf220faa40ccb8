package records

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const table = "medical_records"

// RecordQuery says which page of a list of records is wanted.
type RecordQuery struct {
	// Kinds narrows the list; none means all.
	Kinds   []models.RecordKind
	Request paging.Request
	// Count asks for the page's Total.
	Count bool
}

// RecordsOfContacts reads the same page of each contact's records, latest
// first, in one statement (two with Count). Every contact gets a page; that of
// one the clinic does not have is empty. Only what sel names is read, so a body
// that nobody asked for never leaves Postgres.
func (c *Chart) RecordsOfContacts(
	ctx context.Context, contactIDs []uuid.UUID, query RecordQuery, sel selection.Set,
) (map[uuid.UUID]*paging.Page[models.MedicalRecord], error) {
	return c.perParent(ctx, "contact", func(r *models.MedicalRecord) uuid.UUID { return r.ContactID }, contactIDs, query, sel)
}

// RecordsOfAppointments is RecordsOfContacts for appointments.
func (c *Chart) RecordsOfAppointments(
	ctx context.Context, appointmentIDs []uuid.UUID, query RecordQuery, sel selection.Set,
) (map[uuid.UUID]*paging.Page[models.MedicalRecord], error) {
	return c.perParent(ctx, "appointment", func(r *models.MedicalRecord) uuid.UUID { return *r.AppointmentID }, appointmentIDs, query, sel)
}

func (c *Chart) perParent(
	ctx context.Context, parent string, parentOf func(*models.MedicalRecord) uuid.UUID,
	parents []uuid.UUID, query RecordQuery, sel selection.Set,
) (map[uuid.UUID]*paging.Page[models.MedicalRecord], error) {
	parentColumn := parent + "_id"
	list := paging.List[models.MedicalRecord]{
		Table: table, Kind: models.KindMedicalRecord,
		Depends: database.TagsOf(ctx, parents, func(id uuid.UUID) cachetag.Tag { return cachetag.OnID("medical_record", parent, id) }),
		Columns: columns(sel), Request: query.Request, Count: query.Count,
		Order: paging.Order[models.MedicalRecord]{
			Name:   table + "/" + parentColumn + "/created_at desc",
			Column: "created_at", Type: "timestamptz", Desc: true,
			Key: func(r *models.MedicalRecord) string { return paging.TimeKey(r.CreatedAt) },
			ID:  idOf,
		},
	}
	if len(query.Kinds) > 0 {
		words, err := models.StoredWords(query.Kinds)
		if err != nil {
			return nil, fmt.Errorf("the kinds of records: %w", err)
		}
		list.Where("kind = ANY(?)", words)
	}
	return list.PagePerParent(ctx, c.db, c.cursors, parentColumn, parentOf, parents)
}

// RecordsByID reads records in one statement; ids that the clinic does not have
// are not in the map.
func (c *Chart) RecordsByID(ctx context.Context, ids []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.MedicalRecord, error) {
	return database.ByID(ctx, c.db, models.KindMedicalRecord, table, columns(sel), idOf, ids)
}

// AmendmentsOf reads the record that amends each of the given ones, in one
// statement. The map's keys are the amended records' ids; those that nobody
// amended are not in it.
func (c *Chart) AmendmentsOf(ctx context.Context, recordIDs []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.MedicalRecord, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	// The second condition on amends_id follows from the first, but only
	// spelt out does it let the planner use the partial index.
	wanted := columns(sel)
	if !slices.Contains(wanted, "amends_id") {
		wanted = append(wanted, "amends_id")
	}
	reading := database.Depends(ctx, database.TagsOf(ctx, recordIDs, func(id uuid.UUID) cachetag.Tag { return cachetag.OnID("medical_record", "amends", id) })...)
	rows, err := database.Rows[models.MedicalRecord](reading, c.db, "SELECT "+strings.Join(wanted, ", ")+" FROM "+table+
		" WHERE clinic_id = $1 AND amends_id = ANY($2) AND amends_id IS NOT NULL", scope.ClinicID, recordIDs)
	if err != nil {
		return nil, err
	}
	amendments := make(map[uuid.UUID]*models.MedicalRecord, len(rows))
	for _, row := range rows {
		amendments[*row.AmendsID] = row
		cachetag.Add(ctx, cachetag.Entity(models.KindMedicalRecord, row.ID))
	}
	return amendments, nil
}

// columns are those that the selected fields are read from; amendedBy has none,
// for it is the other record that points here.
func columns(sel selection.Set) []string {
	return sel.Columns(func(field string) []string {
		switch field {
		case "kind", "title", "body", "codes", "data", "digest", "version":
			return []string{field}
		case "contact":
			return []string{"contact_id"}
		case "practitioner":
			return []string{"practitioner_id"}
		case "appointment":
			return []string{"appointment_id"}
		case "amends":
			return []string{"amends_id"}
		case "signedAt":
			return []string{"signed_at"}
		case "createdAt":
			return []string{"created_at"}
		case "updatedAt":
			return []string{"updated_at"}
		}
		return nil
	})
}

func idOf(record *models.MedicalRecord) uuid.UUID { return record.ID }

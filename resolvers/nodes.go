package resolvers

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// mostNodes bounds the ids of one nodes field.
const mostNodes = 100

// nodes reads entities of any kind by their ids, in the order asked: one
// statement per kind, and one per level below it.
func (r *Resolver) nodes(ctx context.Context, globals []string) ([]models.Node, error) {
	if len(globals) > mostNodes {
		return nil, models.BadInput("ids may hold %d ids at most", mostNodes)
	}
	wanted := map[models.Kind][]uuid.UUID{}
	for _, global := range globals {
		kind, id, err := models.ParseGlobal(global)
		if err != nil {
			return nil, models.BadInput("this is no id: ids are given by the API and not to be changed")
		}
		wanted[kind] = append(wanted[kind], id)
	}
	found := make(map[string]models.Node, len(globals))
	for kind, ids := range wanted {
		if err := r.nodesOfKind(ctx, kind, ids, found); err != nil {
			return nil, err
		}
	}
	nodes := make([]models.Node, len(globals))
	for i, global := range globals {
		nodes[i] = found[global]
	}
	return nodes, nil
}

func (r *Resolver) nodesOfKind(ctx context.Context, kind models.Kind, ids []uuid.UUID, found map[string]models.Node) error {
	switch kind {
	case models.KindContact:
		return read(ctx, r, "Contact", ids, found, r.people.ContactsByID, r.ahead.Contacts)
	case models.KindPractitioner:
		return read(ctx, r, "Practitioner", ids, found, r.people.PractitionersByID, r.ahead.Practitioners)
	case models.KindService:
		return read(ctx, r, "Service", ids, found, r.people.ServicesByID, nothingBelow)
	case models.KindAppointment:
		return read(ctx, r, "Appointment", ids, found, r.diary.AppointmentsByID, r.ahead.Appointments)
	case models.KindMedicalRecord:
		return read(ctx, r, "MedicalRecord", ids, found, r.chart.RecordsByID, r.ahead.MedicalRecords)
	case models.KindClinic:
		return read(ctx, r, "Clinic", ids, found, r.ownClinicByID, nothingBelowClinics)
	case models.KindTimeOff, models.KindSeries, models.KindAttachment, models.KindAPIKey:
		// They have ids and are no nodes of the schema.
	}
	return nil
}

// node is an entity that is a GraphQL Node.
type node[T any] interface {
	*T
	models.Node
	GetID() string
}

// read adds the entities of one kind to those that were found. A role that may
// not see the kind at all finds none, as if there were none.
func read[T any, N node[T]](
	ctx context.Context, r *Resolver, typeName string, ids []uuid.UUID, found map[string]models.Node,
	fetch func(context.Context, []uuid.UUID, selection.Set) (map[uuid.UUID]*T, error),
	ahead func(context.Context, []*T, selection.Set) error,
) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	if !r.rights.MayRead(scope.Role, typeName) {
		return nil
	}
	sel := selectedAs(ctx, typeName)
	entities, err := fetch(ctx, ids, sel)
	if err != nil {
		return err
	}
	all := make([]*T, 0, len(entities))
	for _, entity := range entities {
		found[N(entity).GetID()] = N(entity)
		all = append(all, entity)
	}
	return ahead(ctx, all, sel)
}

func (r *Resolver) ownClinicByID(ctx context.Context, ids []uuid.UUID, _ selection.Set) (map[uuid.UUID]*models.Clinic, error) {
	clinic, err := r.people.Clinic(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ids, clinic.ID) {
		return map[uuid.UUID]*models.Clinic{}, nil
	}
	return map[uuid.UUID]*models.Clinic{clinic.ID: clinic}, nil
}

func nothingBelow(context.Context, []*models.Service, selection.Set) error       { return nil }
func nothingBelowClinics(context.Context, []*models.Clinic, selection.Set) error { return nil }

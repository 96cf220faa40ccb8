package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// fill fetches what is selected below the entities of a page that was just
// read, unless they are shown at several places that may want different things.
func fill[T any](
	ctx context.Context, page *paging.Page[T], place loaders.Place, ahead func(context.Context, []*T, selection.Set) error,
) error {
	if place.Shared {
		return nil
	}
	return ahead(ctx, page.Items, place.Nodes)
}

// parts are a connection's, made only where they are selected: a cursor costs.
type parts[T any] struct {
	info  *models.PageInfo
	nodes []*T
	edges bool
}

func partsOf[T any](ctx context.Context, page *paging.Page[T]) parts[T] {
	p := parts[T]{nodes: page.Items}
	for field := range selected(ctx).All() {
		switch field.Name {
		case "pageInfo":
			p.info = pageInfo(page)
		case "edges":
			p.edges = true
		}
	}
	if p.nodes == nil {
		p.nodes = []*T{}
	}
	return p
}

func pageInfo[T any](page *paging.Page[T]) *models.PageInfo {
	info := &models.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrevious}
	if len(page.Items) > 0 {
		start, end := page.Cursor(page.Items[0]), page.Cursor(page.Items[len(page.Items)-1])
		info.StartCursor, info.EndCursor = &start, &end
	}
	return info
}

func edgesOf[T, E any](p parts[T], page *paging.Page[T], edge func(cursor string, node *T) *E) []*E {
	edges := make([]*E, 0, len(page.Items))
	if p.edges {
		for _, item := range page.Items {
			edges = append(edges, edge(page.Cursor(item), item))
		}
	}
	return edges
}

func contactConnection(ctx context.Context, page *paging.Page[models.Contact]) *models.ContactConnection {
	p := partsOf(ctx, page)
	return &models.ContactConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.Contact) *models.ContactEdge {
			return &models.ContactEdge{Cursor: cursor, Node: node}
		}),
	}
}

func appointmentConnection(ctx context.Context, page *paging.Page[models.Appointment]) *models.AppointmentConnection {
	p := partsOf(ctx, page)
	return &models.AppointmentConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.Appointment) *models.AppointmentEdge {
			return &models.AppointmentEdge{Cursor: cursor, Node: node}
		}),
	}
}

func recordConnection(ctx context.Context, page *paging.Page[models.MedicalRecord]) *models.MedicalRecordConnection {
	p := partsOf(ctx, page)
	return &models.MedicalRecordConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.MedicalRecord) *models.MedicalRecordEdge {
			return &models.MedicalRecordEdge{Cursor: cursor, Node: node}
		}),
	}
}

func practitionerConnection(ctx context.Context, page *paging.Page[models.Practitioner]) *models.PractitionerConnection {
	p := partsOf(ctx, page)
	return &models.PractitionerConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.Practitioner) *models.PractitionerEdge {
			return &models.PractitionerEdge{Cursor: cursor, Node: node}
		}),
	}
}

func serviceConnection(ctx context.Context, page *paging.Page[models.Service]) *models.ServiceConnection {
	p := partsOf(ctx, page)
	return &models.ServiceConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.Service) *models.ServiceEdge {
			return &models.ServiceEdge{Cursor: cursor, Node: node}
		}),
	}
}

func clinicConnection(ctx context.Context, page *paging.Page[models.Clinic]) *models.ClinicConnection {
	p := partsOf(ctx, page)
	return &models.ClinicConnection{
		Nodes: p.nodes, PageInfo: p.info, TotalCount: page.Total,
		Edges: edgesOf(p, page, func(cursor string, node *models.Clinic) *models.ClinicEdge {
			return &models.ClinicEdge{Cursor: cursor, Node: node}
		}),
	}
}

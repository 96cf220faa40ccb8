package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/sqlmask"
)

// Plan is a step of what Postgres does with a statement, and the steps below it.
type Plan struct {
	// Node is Postgres' name of it, as "Index Scan".
	Node string `json:"node"`
	// On is the table or function that it reads, Using the index.
	On    string `json:"on,omitempty"`
	Using string `json:"using,omitempty"`
	// Rows and Cost are the planner's guesses; the cost has no unit.
	Rows float64 `json:"rows"`
	Cost float64 `json:"cost"`
	// Conditions are as Postgres words them, without literals.
	Conditions []string `json:"conditions,omitempty"`
	// Whole tells that it reads all of its table.
	Whole bool    `json:"whole,omitempty"`
	Below []*Plan `json:"below,omitempty"`
}

// planning bounds all plans of one request together.
const planning = 3 * time.Second

// Planner asks Postgres for plans, for developers and operators, one after the other,
// each over a connection of its own: what is prepared for a plan never meets a
// request's statements, plans are to be had while the pool is exhausted, and however
// many ask, it is one connection.
type Planner struct {
	url  string
	turn chan struct{}
}

// NewPlanner makes a Planner, which connects as the role that serves when it is asked.
func NewPlanner(url string) *Planner { return &Planner{url: url, turn: make(chan struct{}, 1)} }

// Explain gives statements their plans: those that Postgres makes without
// looking at a value, for a clinic and under row-level security. Nothing is
// executed, and statements that write have none.
func (p *Planner) Explain(ctx context.Context, clinic uuid.UUID, statements []*Statement) {
	ctx, done := context.WithTimeout(ctx, planning)
	defer done()
	if err := p.explain(ctx, clinic, statements); err != nil {
		// Postgres' words may hold what a statement holds.
		for _, s := range statements {
			if s.Plan == nil && s.NoPlan == "" {
				s.NoPlan = "there was no time for its plan"
			}
		}
	}
}

// Plan is what Postgres does with a statement, line by line, made as Explain's are.
func (p *Planner) Plan(ctx context.Context, clinic uuid.UUID, sql string) (plan string, err error) {
	ctx, done := context.WithTimeout(ctx, planning)
	defer done()
	err = p.connected(ctx, func(conn *pgx.Conn) error {
		plan, err = doctor.ExplainAs(ctx, conn, "TEXT", clinic.String(), sql)
		return err
	})
	return plan, err
}

func (p *Planner) explain(ctx context.Context, clinic uuid.UUID, statements []*Statement) error {
	return p.connected(ctx, func(conn *pgx.Conn) error {
		for _, s := range statements {
			if !reads(s.Text) {
				s.NoPlan = "only what reads has a plan here"
				continue
			}
			node, err := doctor.Explain(ctx, conn, clinic.String(), s.sql)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				s.NoPlan = "Postgres cannot plan it without its values"
			default:
				s.Plan = planOf(node)
			}
		}
		return nil
	})
}

// connected waits its turn and connects.
func (p *Planner) connected(ctx context.Context, do func(conn *pgx.Conn) error) (err error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	config, err := pgx.ParseConfig(p.url)
	if err != nil {
		return errors.New("the database's URL cannot be read") // pgx's words would hold the password.
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return do(conn)
}

// reads tells whether a masked statement does nothing but read.
func reads(text string) bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	if len(words) == 0 || words[0] != "select" && words[0] != "with" {
		return false
	}
	for i, word := range words {
		switch word {
		case "insert", "delete", "merge", "into":
			return false
		case "update":
			// FOR UPDATE and FOR NO KEY UPDATE lock, and locking is not done by a plan.
			if words[i-1] != "for" && words[i-1] != "key" {
				return false
			}
		}
	}
	return true
}

func planOf(node doctor.Node) *Plan {
	plan := &Plan{
		Node: node.Type, On: node.Relation, Using: node.Index, Rows: node.Rows, Cost: node.Cost,
		Whole: node.Type == "Seq Scan",
	}
	if plan.On == "" {
		plan.On = node.Function
	}
	for _, condition := range []struct{ name, text string }{
		{"index", node.IndexCond},
		{"recheck", node.RecheckCond},
		{"hash", node.HashCond},
		{"merge", node.MergeCond},
		{"join", node.JoinFilter},
		{"filter", node.Filter},
		{"once", node.OnceFilter},
		{"sort", strings.Join(node.SortKey, ", ")},
	} {
		if condition.text != "" {
			plan.Conditions = append(plan.Conditions, condition.name+": "+sqlmask.Mask(condition.text))
		}
	}
	for _, child := range node.Plans {
		plan.Below = append(plan.Below, planOf(child))
	}
	return plan
}

package devstack

import (
	"context"
	"fmt"
)

// CrashPostgres kills Postgres as a crash does, with nothing written that was not
// yet; RestartPostgres starts it again, at the same address. For tests of what
// happens then: neither may run at once with the other or with Stop.
func (s *Stack) CrashPostgres() {
	crashed := s.postgres
	if crashed == nil {
		return
	}
	s.postgres = nil
	close(crashed.told)
	_ = crashed.cmd.Process.Kill() // an error means that it is gone
	<-crashed.done
}

// RestartPostgres starts Postgres after CrashPostgres and returns once it answers.
func (s *Stack) RestartPostgres(ctx context.Context) error {
	port := s.state.PostgresPort
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	if s.state.PostgresPort != port {
		return fmt.Errorf("another program took Postgres' port %d meanwhile", port)
	}
	return nil
}

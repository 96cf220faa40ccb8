package seed

import "crypto/sha256"

// feeds are calendar feeds that were revoked: nobody knows the secret of an address that
// a seeder made, and one that worked would be everybody's.
func (c *clinic) feeds() batch {
	s := c.source("calendar feeds")
	const count = 8
	return batch{"calendar_feeds", []string{"clinic_id", "id", "practitioner_id", "secret_hash", "created_at", "last_read_at", "revoked_at"}, count, func(i int, row []any) {
		id := s.id(c.created)
		hash := sha256.Sum256(id.Bytes[:])
		row[0], row[1], row[2], row[3], row[4], row[5], row[6] = c.id, id, nil, hash[:], c.created, nil, c.created
		if i > 0 && len(c.practitioners) > 0 {
			row[2], row[5] = c.practitioners[i%len(c.practitioners)].id, c.created
		}
	}}
}

// keys are partners' keys that nobody has the text of: used ones, some that were
// revoked and some that have expired.
func (c *clinic) keys() batch {
	s := c.source("api keys")
	names := []string{"Agenda externa", "BI", "Site da clínica", "Antiga integração", "Laboratório", "Teste"}
	return batch{"api_keys", []string{
		"clinic_id", "id", "name", "role", "key_hash", "last_four", "last_used_at", "expires_at", "revoked_at", "created_at", "updated_at",
	}, len(names), func(i int, row []any) {
		id := s.id(c.created)
		hash := sha256.Sum256(id.Bytes[:])
		row[0], row[1], row[2], row[3], row[4], row[5], row[9], row[10] = c.id, id, names[i], "partner", hash[:], "0000", c.created, c.created
		row[6], row[7], row[8] = c.created, nil, nil
		switch i % 3 {
		case 1:
			row[6], row[7] = nil, c.created.AddDate(1, 0, 0)
		case 2:
			row[8] = c.created
		}
	}}
}

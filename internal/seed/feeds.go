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

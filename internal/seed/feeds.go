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

// accounts are channel accounts that are switched off: their settings are sealed with no
// server's secret, so that nobody is ever written to by them.
func (c *clinic) accounts() batch {
	s := c.source("channel accounts")
	kinds := []struct{ channel, name, address string }{
		{"whatsapp", "Recepção", "+551140000000"}, {"email", "Recepção", "recepcao@" + c.slug + ".example"}, {"web", "Página", "https://" + c.slug + ".example"},
		{"whatsapp", "Financeiro", "+551140000001"}, {"email", "Financeiro", "financeiro@" + c.slug + ".example"},
	}
	return batch{"channel_accounts", []string{"clinic_id", "id", "channel", "name", "address", "active", "settings", "created_at", "updated_at", "next_send_at"}, len(kinds), func(i int, row []any) {
		k := kinds[i]
		id := s.id(c.created)
		sealed := sha256.Sum256(id.Bytes[:])
		row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9] = c.id, id, k.channel, k.name, k.address, false, sealed[:], c.created, c.created, c.created
	}}
}

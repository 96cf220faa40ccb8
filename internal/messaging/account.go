package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	// InboundPath is where providers post.
	InboundPath = "/channels/"
	// mostAccounts bounds the accounts of a clinic.
	mostAccounts       = 100
	longestAccountName = 100
	longestAddress     = 254
	longestSetting     = 2000
)

// ChannelAccount is what a clinic sends and receives with, as it is read.
func ChannelAccount() entity.Declaration {
	return entity.Noun[models.ChannelAccount]{
		Kind:    models.KindChannelAccount,
		Columns: map[string][]string{"inboundUrl": {"clinic_id", "id"}},
		Derive: func(server entity.Server, _ entity.Reader, account *models.ChannelAccount) {
			account.InboundURL = server.URL + InboundPath + nameOf(account.ClinicID, account.ID)
		},
	}
}

// nameOf is an account's name in its address: the clinic's UUID and its own, each in
// Crockford's base32. It is no secret: what is posted there is signed.
func nameOf(clinic, account uuid.UUID) string {
	return strings.TrimPrefix(models.KindClinic.Global(clinic), string(models.KindClinic)+"_") +
		strings.TrimPrefix(models.KindChannelAccount.Global(account), string(models.KindChannelAccount)+"_")
}

// named is the account that an address names; false for what cannot be one.
func named(name string) (clinic, account uuid.UUID, ok bool) {
	const half = 26
	if len(name) != 2*half {
		return uuid.Nil, uuid.Nil, false
	}
	clinic, wrong := models.KindClinic.Parse(string(models.KindClinic) + "_" + name[:half])
	account, err := models.KindChannelAccount.Parse(string(models.KindChannelAccount) + "_" + name[half:])
	return clinic, account, wrong == nil && err == nil && clinic != uuid.Nil
}

// Accounts are the clinic's, the oldest first.
func (c *Correspondence) Accounts(ctx context.Context) ([]*models.ChannelAccount, error) {
	reading := database.Depends(ctx, touched.Of("channel_account/list"))
	accounts, err := database.Find[models.ChannelAccount](reading, c.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Select("clinic_id", "id", "channel", "name", "address", "active", "last_error", "created_at").Order("created_at, id").Limit(mostAccounts)
	})
	for _, account := range accounts {
		touched.Add(ctx, touched.Entity(models.KindChannelAccount, account.ID))
	}
	return accounts, err
}

// CreateChannelAccount adds an account. Mistakes come back as models.Invalid.
func (c *Correspondence) CreateChannelAccount(ctx context.Context, input models.CreateChannelAccountInput) (*models.ChannelAccount, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	account := &models.ChannelAccount{
		ID: models.NewID(), Channel: input.Channel, Active: true,
		Name: in.RequiredText("name", input.Name, longestAccountName), Address: in.RequiredText("address", input.Address, longestAddress),
	}
	settings := readSettings(&in, input.Settings)
	c.checkAccount(&in, account, settings)
	if err := in.Err(); err != nil {
		return nil, err
	}
	if account.Settings, err = c.seal.close(scope.ClinicID, account.ID, settings); err != nil {
		return nil, err
	}
	made, err := database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.ChannelAccount, error) {
		// One after the other: the last two may not both find room for one.
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('taskmed channels ' || app_clinic()::text, 0))").Error; err != nil {
			return nil, err
		}
		var count int64
		if err := tx.Model(&models.ChannelAccount{}).Count(&count).Error; err != nil {
			return nil, err
		}
		if count >= mostAccounts {
			return nil, models.Refuse(models.UserErrorCodeLimit, "", "the clinic has 100 accounts, which is the most")
		}
		return account, tx.Clauses(clause.Returning{}).Create(account).Error
	})
	if constraint, violated := database.Violation(err); violated && constraint == "idx_channel_accounts_address" {
		return nil, c.addressTaken(ctx, account)
	}
	return made, err
}

// addressTaken is the refusal of a second account with an address; it names the first.
func (c *Correspondence) addressTaken(ctx context.Context, wanted *models.ChannelAccount) error {
	const told = "the clinic has an account with this address: change that"
	first, err := database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.ChannelAccount, error) {
		var found models.ChannelAccount
		return &found, tx.Select("id").Where("channel = ? AND address = ?", wanted.Channel, wanted.Address).Limit(1).Find(&found).Error
	})
	if err != nil {
		return err
	}
	return models.Refuse(models.UserErrorCodeTaken, "address", told, first.GetID())
}

// UpdateChannelAccount changes what the input names; settings are replaced whole.
// Mistakes come back as models.Invalid.
func (c *Correspondence) UpdateChannelAccount(ctx context.Context, input models.UpdateChannelAccountInput) (*models.ChannelAccount, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	id := in.ID("id", models.KindChannelAccount, input.ID)
	changes := map[string]any{}
	if name, named := input.Name.ValueOK(); named {
		changes["name"] = in.RequiredText("name", orEmpty(name), longestAccountName)
	}
	if active, named := input.Active.ValueOK(); named && active != nil {
		changes["active"] = *active
	}
	var settings channel.Settings
	written, replaced := input.Settings.ValueOK()
	if replaced {
		settings = readSettings(&in, written)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.ChannelAccount, error) {
		account := &models.ChannelAccount{}
		err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(account).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil, models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such account")
		}
		if err != nil {
			return nil, err
		}
		if replaced {
			var in validate.Input
			c.checkAccount(&in, account, settings)
			if err := in.Err(); err != nil {
				return nil, err
			}
			sealed, err := c.seal.close(scope.ClinicID, id, settings)
			if err != nil {
				return nil, err
			}
			changes["settings"], changes["last_error"] = sealed, nil
		}
		if len(changes) == 0 {
			return account, nil
		}
		// Into a new one: a null that is read leaves what a pointer points at.
		changed := &models.ChannelAccount{ID: id}
		return changed, tx.Model(changed).Clauses(clause.Returning{}).Updates(changes).Error
	})
}

// readSettings reads an object of texts.
func readSettings(in *validate.Input, written models.JSON) channel.Settings {
	var settings channel.Settings
	if err := json.Unmarshal(written, &settings); err != nil || settings == nil {
		in.Add(models.UserErrorCodeInvalid, "settings", "settings are an object of texts, such as {\"url\": \"smtp://…\"}")
		return nil
	}
	for name, text := range settings {
		if len(text) > longestSetting || len(name) > longestAccountName || !validate.Printable(text) {
			in.AddAt(models.UserErrorCodeTooLong, []string{"settings", name}, "a setting is a text of up to 2,000 bytes")
		}
	}
	return settings
}

func (c *Correspondence) checkAccount(in *validate.Input, account *models.ChannelAccount, settings channel.Settings) {
	adapter, ok := c.adapters[account.Channel]
	if !ok {
		in.Add(models.UserErrorCodeInvalid, "channel", "this channel has no provider here yet: choose another one")
		return
	}
	if settings == nil {
		return
	}
	for _, fault := range adapter.Check(channel.Account{Address: account.Address, Settings: settings}) {
		path := []string{"settings", fault.Setting}
		if fault.Setting == "" {
			path = []string{"address"}
		}
		in.AddAt(models.UserErrorCodeInvalid, path, fault.Message)
	}
}

// opened is an account with its settings, and the way to its provider.
func (c *Correspondence) opened(account *models.ChannelAccount) (channel.Account, channel.Adapter, error) {
	adapter, ok := c.adapters[account.Channel]
	if !ok {
		return channel.Account{}, nil, errors.New("messaging: no adapter for " + string(account.Channel))
	}
	settings, err := c.seal.open(account.ClinicID, account.ID, account.Settings)
	return channel.Account{Address: account.Address, Settings: settings}, adapter, err
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

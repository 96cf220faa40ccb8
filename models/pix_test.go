package models_test

import (
	"encoding/xml"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// The example of the Manual do BR Code.
func TestCrc16_IsThatOfTheManual(t *testing.T) {
	t.Parallel()
	const payload = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***6304"
	require.EqualValues(t, 0x1D3D, models.Crc16(payload))
	require.EqualValues(t, 0x29B1, models.Crc16("123456789"), "the check value of CRC-16/CCITT-FALSE")
}

// fields reads data objects of EMV: id, length, value.
func fields(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for text != "" {
		require.GreaterOrEqual(t, len(text), 4, text)
		length, err := strconv.Atoi(text[2:4])
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(text), 4+length, text)
		found[text[:2]] = text[4 : 4+length]
		text = text[4+length:]
	}
	return found
}

func invoice(change func(*models.Invoice)) *models.Invoice {
	key := "123e4567-e12b-12d1-a456-426655440000"
	made := &models.Invoice{
		ID: uuid.MustParse("01a22760-0000-7000-8000-000000000001"), Status: models.InvoiceStatusOpen, Currency: "BRL",
		TotalMinor: 15005, PaidMinor: 5000, PixKey: &key, Payee: "Clínica São João da Boa Vista e Região",
	}
	change(made)
	return made
}

func TestPix_SaysWhomToPayHowMuch(t *testing.T) {
	t.Parallel()
	charge := invoice(func(*models.Invoice) {}).Pix()
	require.NotNil(t, charge)
	whole := fields(t, charge.Payload)
	require.Equal(t, map[string]string{"00": "br.gov.bcb.pix", "01": "123e4567-e12b-12d1-a456-426655440000"}, fields(t, whole["26"]))
	require.Equal(t, "01", whole["00"])
	require.Equal(t, "0000", whole["52"])
	require.Equal(t, "986", whole["53"])
	require.Equal(t, "100.05", whole["54"])
	require.Equal(t, "BR", whole["58"])
	require.Equal(t, "Clinica Sao Joao da Boa V", whole["59"])
	require.LessOrEqual(t, len(whole["60"]), 15)
	require.Equal(t, charge.Txid, fields(t, whole["62"])["05"])
	require.Regexp(t, `^[0-9A-Z]{25}$`, charge.Txid)
	end := len(charge.Payload) - 4
	crc, err := strconv.ParseUint(charge.Payload[end:], 16, 16)
	require.NoError(t, err)
	require.EqualValues(t, crc, models.Crc16(charge.Payload[:end]))
	require.EqualValues(t, 10005, charge.Amount().AmountMinor)

	var image struct {
		XMLName xml.Name
		Path    []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	require.NoError(t, xml.Unmarshal([]byte(charge.QrSvg()), &image))
	require.Equal(t, "svg", image.XMLName.Local)
	require.Len(t, image.Path, 2)
	require.Greater(t, len(image.Path[1].D), 1000)
}

func TestPix_IsOnlyForWhatIsOwedInReais(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*models.Invoice){
		"a draft":         func(i *models.Invoice) { i.Status = models.InvoiceStatusDraft },
		"paid":            func(i *models.Invoice) { i.Status = models.InvoiceStatusPaid },
		"void":            func(i *models.Invoice) { i.Status = models.InvoiceStatusVoid },
		"no key":          func(i *models.Invoice) { i.PixKey = nil },
		"another money":   func(i *models.Invoice) { i.Currency = "USD" },
		"nothing is owed": func(i *models.Invoice) { i.PaidMinor = i.TotalMinor },
	} {
		require.Nil(t, invoice(change).Pix(), name)
	}
	require.NotNil(t, invoice(func(i *models.Invoice) { i.Status = models.InvoiceStatusOverdue }).Pix())
}

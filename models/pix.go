package models

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/skip2/go-qrcode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// PixCharge is a static BR Code (Banco Central do Brasil, Manual do BR Code; EMV QRCPS
// Merchant-Presented Mode): how to pay an amount by PIX, made without a network.
type PixCharge struct {
	// Payload is what a banking app takes as "copia e cola".
	Payload string
	// Txid is how the payee knows the payment again; 1 to 25 letters and digits.
	Txid string

	amount Money
}

// The lengths that the BR Code gives its fields, in characters.
const (
	longestPayee = 25
	longestTxid  = 25
)

// NewPixCharge makes the charge of an amount above 0 in reais to a PIX key.
func NewPixCharge(key, payee, txid string, amount Money) *PixCharge {
	account := field("00", "br.gov.bcb.pix") + field("01", key)
	reais := fmt.Sprintf("%d.%02d", amount.AmountMinor/100, amount.AmountMinor%100)
	payload := field("00", "01") + field("26", account) + field("52", "0000") + field("53", "986") + field("54", reais) +
		// The standard wants a city; no app shows it, and clinics have none here.
		field("58", "BR") + field("59", plain(payee, longestPayee)) + field("60", "BRASIL") + field("62", field("05", txid)) + "6304"
	return &PixCharge{Payload: payload + fmt.Sprintf("%04X", Crc16(payload)), Txid: txid, amount: amount}
}

// Amount is what is to be paid.
func (p *PixCharge) Amount() *Money { return &p.amount }

// QrSvg is the payload as a QR code: an SVG image of black squares on white, with its
// quiet zone, which scales to any size.
func (p *PixCharge) QrSvg() string {
	code, err := qrcode.New(p.Payload, qrcode.Medium)
	if err != nil {
		return "" // a payload of these fields is never too long
	}
	bitmap := code.Bitmap()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="`, len(bitmap))
	for y, row := range bitmap {
		for x := 0; x < len(row); x++ {
			width := 0
			for x+width < len(row) && row[x+width] {
				width++
			}
			if width > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x, y, width, width)
				x += width
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// field is an EMV data object: its id, its length in two digits, its value.
func field(id, value string) string {
	return id + fmt.Sprintf("%02d", len(value)) + value
}

// plain is a text in ASCII as the BR Code takes it, cut to so many characters.
func plain(text string, longest int) string {
	bare, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn))), text)
	if err != nil {
		bare = text
	}
	bare = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, bare)
	bare = strings.TrimSpace(bare[:min(len(bare), longest)])
	if bare == "" {
		return "CLINICA" // a name in another script; the app shows the key's owner
	}
	return bare
}

// Crc16 is CRC-16/CCITT-FALSE: polynomial 0x1021, begun with 0xFFFF.
func Crc16(text string) uint16 {
	crc := uint16(0xFFFF)
	for _, b := range []byte(text) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// Pix is how to pay the balance by PIX; nil where nothing is owed, in another currency
// than the real, and where the clinic has no PIX key.
func (i *Invoice) Pix() *PixCharge {
	owed := i.TotalMinor - i.PaidMinor
	switch i.Status {
	case InvoiceStatusOpen, InvoiceStatusPartiallyPaid, InvoiceStatusOverdue:
	case InvoiceStatusDraft, InvoiceStatusPaid, InvoiceStatusVoid:
		return nil
	}
	if i.PixKey == nil || i.Currency != "BRL" || owed <= 0 {
		return nil
	}
	// A UUID has 26 characters in base 32, of which the first says next to nothing.
	_, global, _ := strings.Cut(KindInvoice.Global(i.ID), "_")
	return NewPixCharge(*i.PixKey, i.Payee, strings.ToUpper(global[len(global)-longestTxid:]), Money{AmountMinor: owed, Currency: i.Currency})
}

// Asks go-spiffe about the case tables: prints a line for each case that it can judge, its kind, its id and `a` for accept
// or `r` for refuse. The argument is the folder of the tables.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"crypto/x509"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type table struct {
	Certificates map[string][]byte
	Cases        []struct {
		ID, Check string
		Now       int64
		Input     json.RawMessage
	}
}

type input struct {
	Texts       []string
	TrustDomain string `json:"trust-domain"`
	Segments    []string
	Document    *string
	Chain       []string
	Bundles     map[string][]string
	Mode        string
}

var errSkip = errors.New("not a case for go-spiffe")

func main() {
	for _, kind := range []string{"spiffe-id", "x509-svid", "bundle"} {
		text, err := os.ReadFile(filepath.Join(os.Args[1], kind+".json"))
		must(err)
		var t table
		must(json.Unmarshal(text, &t))
		for _, c := range t.Cases {
			var in input
			must(json.Unmarshal(c.Input, &in))
			err := ask(kind+"/"+c.Check, in, t.Certificates, time.Unix(c.Now, 0))
			switch {
			case errors.Is(err, errSkip):
			case err == nil:
				fmt.Println(kind, c.ID, "a")
			default:
				fmt.Println(kind, c.ID, "r", err)
			}
		}
	}
}

func ask(check string, in input, certificates map[string][]byte, now time.Time) error {
	switch check {
	case "spiffe-id/id":
		return each(in.Texts, func(text string) error { _, err := spiffeid.FromString(text); return err })
	case "spiffe-id/trust-domain":
		return each(in.Texts, func(text string) error { _, err := spiffeid.TrustDomainFromString(text); return err })
	case "spiffe-id/segments":
		td, err := spiffeid.TrustDomainFromString(in.TrustDomain)
		must(err)
		_, err = spiffeid.FromSegments(td, in.Segments...)
		return err
	case "bundle/read":
		td, err := spiffeid.TrustDomainFromString(in.TrustDomain)
		must(err)
		if in.Document == nil {
			return errSkip
		}
		_, err = spiffebundle.Parse(td, []byte(*in.Document))
		return err
	case "x509-svid/verify":
		set := x509bundle.NewSet()
		for name, authorities := range in.Bundles {
			td, err := spiffeid.TrustDomainFromString(name)
			must(err)
			bundle := x509bundle.New(td)
			for _, authority := range authorities {
				certificate, err := x509.ParseCertificate(certificates[authority])
				if err != nil {
					return err
				}
				bundle.AddX509Authority(certificate)
			}
			set.Add(bundle)
		}
		var chain [][]byte
		for _, name := range in.Chain {
			chain = append(chain, certificates[name])
		}
		_, _, err := x509svid.ParseAndVerify(chain, set, x509svid.WithTime(now))
		return err
	}
	return errSkip
}

// each accepts when all are accepted, and refuses when all are refused; anything else is for nobody to compare.
func each(texts []string, parse func(string) error) error {
	var last error
	refused := 0
	for _, text := range texts {
		if err := parse(text); err != nil {
			last = err
			refused++
		}
	}
	if refused != 0 && refused != len(texts) {
		return errSkip
	}
	return last
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

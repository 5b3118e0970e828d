package access

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Signature Version 4, seen from the other end. AWS's signer for Go would sign
// again and compare, but it chooses the headers by itself and tidies the host;
// a verifier has to take both as the client sent them.
const (
	algorithm     = "AWS4-HMAC-SHA256"
	signedService = "servicediscovery"
	terminator    = "aws4_request"
	dateLayout    = "20060102T150405Z"
	dayLayout     = "20060102"

	// signatureWindow is how far the time of a signature may be from ours: AWS's.
	signatureWindow = 15 * time.Minute

	maxBody     = 1 << 20
	bodyTimeout = 10 * time.Second
)

// claim is what an Authorization header says.
type claim struct {
	id                   string // of the access key
	day, region, service string // the scope
	headers              []string
	signature            []byte
	at                   string // X-Amz-Date
}

func (c *claim) scope() string {
	return c.day + "/" + c.region + "/" + c.service + "/" + terminator
}

// parseClaim reads what a request claims, without believing it.
func parseClaim(r *http.Request) (*claim, *refusal) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, unsigned()
	}
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok || !strings.HasPrefix(rest, " ") {
		return nil, incomplete("the Authorization header does not begin with %s", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter.", name)
		}
	}
	c := &claim{headers: strings.Split(fields["SignedHeaders"], ";"), at: r.Header.Get("X-Amz-Date")}
	if c.at == "" {
		return nil, incomplete("the request has no X-Amz-Date header")
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != terminator {
		return nil, incomplete("Credential must have the form KEY/DATE/REGION/SERVICE/%s, not %q", terminator, clip(fields["Credential"]))
	}
	c.id, c.day, c.region, c.service = scope[0], scope[1], scope[2], scope[3]
	signature, err := hex.DecodeString(fields["Signature"])
	if err != nil || len(signature) != sha256.Size {
		return nil, incomplete("Signature is not a SHA-256 in hexadecimal")
	}
	c.signature = signature
	return c, nil
}

// check refuses what needs no key to be refused: a scope that is not ours, a
// time that is too far away, and headers that must be signed and are not.
func (c *claim) check(r *http.Request, region string, now time.Time) *refusal {
	at, err := time.Parse(dateLayout, c.at)
	switch {
	case err != nil:
		return incomplete("X-Amz-Date must have the form %s, not %q", dateLayout, clip(c.at))
	case c.service != signedService:
		return badSignature("Credential should be scoped to correct service: '%s', not '%s'.", signedService, clip(c.service))
	case c.region != region:
		return badSignature("Credential should be scoped to a valid region, not '%s': this registry is in %s.", clip(c.region), region)
	case c.day != at.Format(dayLayout):
		return badSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", clip(c.day), at.Format(dayLayout), c.at)
	}
	now = now.UTC().Truncate(time.Second)
	if oldest := now.Add(-signatureWindow); at.Before(oldest) {
		return badSignature("Signature expired: %s is now earlier than %s (%s - 15 min.)", c.at, oldest.Format(dateLayout), now.Format(dateLayout))
	}
	if newest := now.Add(signatureWindow); at.After(newest) {
		return badSignature("Signature not yet current: %s is still later than %s (%s + 15 min.)", c.at, newest.Format(dateLayout), now.Format(dateLayout))
	}
	for _, name := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(c.headers, name) && (name != "x-amz-target" || r.Header.Get(name) != "") {
			return badSignature("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

// verify returns the key that signed a request, or why it was not signed by
// any. The body is read last, so that only who names a key can make us hold one.
func (d *door) verify(w http.ResponseWriter, r *http.Request) (*Key, *refusal) {
	c, refused := parseClaim(r)
	if refused != nil {
		return nil, refused
	}
	key := d.opts.Keys.find(c.id)
	if key == nil {
		return nil, stranger()
	}
	if refused := c.check(r, d.opts.Region, time.Now()); refused != nil {
		return nil, refused
	}
	body, refused := readBody(w, r)
	if refused != nil {
		return nil, refused
	}
	hash := sha256.Sum256(body)
	var canonical, toSign string
	for _, host := range hosts(r.Host) {
		canonical = canonicalRequest(r, host, c.headers, hex.EncodeToString(hash[:]))
		toSign = stringToSign(c.at, c.scope(), canonical)
		if hmac.Equal(sum(key.signing(c), toSign), c.signature) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			return &key.Key, nil
		}
	}
	return nil, badSignature("The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method.\n\n"+
		"The Canonical String for this request should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n", canonical, toSign)
}

// readBody reads at most maxBody bytes in at most bodyTimeout.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTimeout)) // a writer without deadlines is a test's, in memory
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		control.SetReadDeadline(time.Time{})
		return body, nil
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "the request is too large"}
	}
	return nil, refuse("SerializationException", "read the request: %s", err)
}

// hosts are the forms of a host that a client may have signed: as sent, and
// without a port that needs no saying. Some send it and leave it out of the
// signature.
func hosts(sent string) []string {
	for _, port := range []string{":80", ":443"} {
		if short, ok := strings.CutSuffix(sent, port); ok {
			return []string{sent, short}
		}
	}
	return []string{sent}
}

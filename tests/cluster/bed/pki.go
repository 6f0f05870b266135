package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority is the cluster's certificate authority, made anew by every up.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func pki(name string) string { return state("pki", name) }

// makePKI issues every certificate of the cluster, and a kubeconfig for every client of its API.
func makePKI(all []node) error {
	for _, dir := range []string{"pki", "kubeconfig"} {
		if err := os.MkdirAll(state(dir), 0o700); err != nil {
			return err
		}
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	kubernetes := "kubernetes.default.svc.cluster.local"
	serverNames := []string{"127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", kubernetes}
	for _, f := range families {
		serverNames = append(serverNames, f.node(1).String(), at(f.services, 1).String())
	}
	err = errors.Join(
		ca.sign("apiserver", "kube-apiserver", nil, serverNames),
		ca.sign("apiserver-client", "kube-apiserver", []string{"system:masters"}, nil),
		ca.sign("front-proxy", "front-proxy", nil, nil),
		ca.sign("service-account", "service-account", nil, nil),
		ca.client("admin", "admin", "system:masters"),
		ca.client("controller-manager", "system:kube-controller-manager"),
		ca.client("scheduler", "system:kube-scheduler"),
		ca.client("proxy", "system:kube-proxy"),
	)
	for _, n := range all {
		user := "system:node:" + n.name
		names := []string{n.name, v4.node(n.number).String(), v6.node(n.number).String()}
		err = errors.Join(err, ca.client("kubelet-"+n.name, user, "system:nodes"), ca.sign("kubelet-"+n.name+"-serving", user, nil, names))
	}
	return err
}

func newAuthority() (*authority, error) {
	template, err := template("weft-bed", nil)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, writePair("ca", der, key)
}

func template(name string, organizations []string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: organizations},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, err
}

// sign issues FILE.crt and FILE.key, for servers and clients alike.
func (ca *authority) sign(file, name string, organizations, hosts []string) error {
	leaf, err := template(name, organizations)
	if err != nil {
		return err
	}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, address)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return err
	}
	return writePair(file, der, key)
}

func writePair(file string, cert []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return errors.Join(
		writeFile(pki(file+".crt"), encode("CERTIFICATE", cert)),
		writeFile(pki(file+".key"), encode("EC PRIVATE KEY", der)),
	)
}

// client issues a client certificate and writes the kubeconfig that uses it.
func (ca *authority) client(user, name string, organizations ...string) error {
	if err := ca.sign(user, name, organizations, nil); err != nil {
		return err
	}
	return writeFile(kubeconfig(user), fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: weft-bed
clusters:
- name: weft-bed
  cluster: {server: %q, certificate-authority: %s}
contexts:
- name: weft-bed
  context: {cluster: weft-bed, user: %s}
users:
- name: %s
  user: {client-certificate: %s, client-key: %s}
`, server(), pki("ca.crt"), user, user, pki(user+".crt"), pki(user+".key")))
}

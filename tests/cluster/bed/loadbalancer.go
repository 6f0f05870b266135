package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"net/netip"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// balancer gives Services of type LoadBalancer their addresses, out of networks that up has routed
// to node 1, where kube-proxy does the rest. A Service with externalTrafficPolicy Local gets a
// route of its own, to a node that has one of its endpoints.
//
// Each pass looks at all Services and endpoints, so nothing depends on the order of events.
type balancer struct {
	api      kubernetes.Interface
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	// routes are the nodes that addresses are routed to beside the network's own route.
	routes map[netip.Addr]int
}

func runBalancer(config string) error {
	api, err := client(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(api, 10*time.Second)
	b := &balancer{
		api:      api,
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
		routes:   map[netip.Addr]int{},
	}
	changed := make(chan struct{}, 1) // one pending pass sees every change before it
	notice := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notice() },
		UpdateFunc: func(any, any) { notice() },
		DeleteFunc: func(any) { notice() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Services().Informer(),
		factory.Discovery().V1().EndpointSlices().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	for range changed {
		if err := b.pass(); err != nil {
			log.Print(err) // the resync of the informers brings another pass
		}
	}
	return nil
}

func (b *balancer) pass() error {
	all, err := b.services.List(labels.Everything())
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, s := range all {
		for _, ingress := range s.Status.LoadBalancer.Ingress {
			taken[ingress.IP] = true
		}
	}
	wanted := map[netip.Addr]int{}
	for _, s := range all {
		if s.Spec.Type != v1.ServiceTypeLoadBalancer || s.Spec.LoadBalancerClass != nil {
			continue
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			err = errors.Join(err, b.assign(s, taken))
		}
		if s.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal {
			number, nodeErr := b.nodeWithEndpoint(s)
			err = errors.Join(err, nodeErr)
			for _, ingress := range s.Status.LoadBalancer.Ingress {
				if address, parseErr := netip.ParseAddr(ingress.IP); parseErr == nil && number > 0 {
					wanted[address] = number
				}
			}
		}
	}
	return errors.Join(err, b.route(wanted))
}

// assign writes one address per family of the Service into its status. It adds them to taken.
func (b *balancer) assign(s *v1.Service, taken map[string]bool) error {
	ips, err := pick(s, taken)
	if err != nil {
		return fmt.Errorf("%s/%s stays without an address: %w", s.Namespace, s.Name, err)
	}
	s = s.DeepCopy()
	for _, ip := range ips {
		taken[ip] = true
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: ip})
	}
	if _, err := b.api.CoreV1().Services(s.Namespace).UpdateStatus(context.Background(), s, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("%s/%s: %w", s.Namespace, s.Name, err)
	}
	log.Printf("%s/%s: %v", s.Namespace, s.Name, ips)
	return nil
}

// pick finds a free address for each family of the Service, or the one that it asks for by
// spec.loadBalancerIP if that is free and one of ours.
func pick(s *v1.Service, taken map[string]bool) ([]string, error) {
	var ips []string
	for _, name := range s.Spec.IPFamilies {
		f := v4
		if name == v1.IPv6Protocol {
			f = v6
		}
		if asked := s.Spec.LoadBalancerIP; asked != "" {
			address, err := netip.ParseAddr(asked)
			if err != nil || !v4.loadBalancers.Contains(address) && !v6.loadBalancers.Contains(address) {
				return nil, fmt.Errorf("spec.loadBalancerIP %s is not in %s or %s", asked, v4.loadBalancers, v6.loadBalancers)
			}
			if f.loadBalancers.Contains(address) {
				if taken[asked] {
					return nil, fmt.Errorf("spec.loadBalancerIP %s is taken", asked)
				}
				ips = append(ips, asked)
				continue
			}
		}
		free := firstFree(f.loadBalancers, taken)
		if free == "" {
			return nil, fmt.Errorf("every address of %s is taken", f.loadBalancers)
		}
		ips = append(ips, free)
	}
	return ips, nil
}

func firstFree(network netip.Prefix, taken map[string]bool) string {
	const addresses = 255 // the last one of an IPv4 network is its broadcast address
	for offset := 1; offset < addresses; offset++ {
		if address := at(network, offset).String(); !taken[address] {
			return address
		}
	}
	return ""
}

// nodeWithEndpoint is the lowest number of a node with a ready endpoint of the Service, or 0.
func (b *balancer) nodeWithEndpoint(s *v1.Service) (int, error) {
	all, err := b.slices.EndpointSlices(s.Namespace).List(labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: s.Name}))
	best := 0
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			if endpoint.NodeName == nil || endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
				continue
			}
			for _, n := range present() {
				if n.name == *endpoint.NodeName && (best == 0 || n.number < best) {
					best = n.number
				}
			}
		}
	}
	return best, err
}

// route makes the routes of single addresses what is wanted.
func (b *balancer) route(wanted map[netip.Addr]int) error {
	if maps.Equal(b.routes, wanted) {
		return nil
	}
	var err error
	for address, number := range wanted {
		if b.routes[address] != number {
			f := familyOf(address)
			err = errors.Join(err, sh(f.ip("route", "replace", address.String(), "via", f.node(number).String(), "dev", bridge)...))
		}
	}
	for address := range b.routes {
		if wanted[address] == 0 {
			err = errors.Join(err, sh(familyOf(address).ip("route", "del", address.String(), "dev", bridge)...))
		}
	}
	if err == nil {
		b.routes = wanted
	}
	return err
}

func familyOf(address netip.Addr) family {
	if address.Is4() {
		return v4
	}
	return v6
}

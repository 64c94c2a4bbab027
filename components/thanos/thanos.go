// Package thanos deploys what keeps and answers for metrics beyond Prometheus' own volume: store, query, query frontend, compact and
// bucket web, each on its own or all wired. It owns no bucket, role or sidecar.
package thanos

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// The type tokens are part of every child's URN and must never change.
const thanosToken = "kansoku:thanos:Thanos"

// Settings are what a stack may say about Thanos.
type Settings struct {
	// Store answers from the bucket.
	Store StoreSettings `pulumi:"store,optional"`
	// Query answers from sidecars and store.
	Query QuerySettings `pulumi:"query,optional"`
	// QueryFrontend splits, repeats and remembers queries.
	QueryFrontend QueryFrontendSettings `pulumi:"queryFrontend,optional"`
	// Compact joins, thins out and removes blocks.
	Compact CompactSettings `pulumi:"compact,optional"`
	// BucketWeb shows the blocks.
	BucketWeb BucketWebSettings `pulumi:"bucketWeb,optional"`
}

// WithDefaults fills what is not set. The store ignores a block that is marked for deletion after half of compact's delay, and what
// query refuses the frontend refuses too.
func (s Settings) WithDefaults() Settings {
	s.Compact = s.Compact.WithDefaults()
	if delay, err := check.ParseDuration(s.Compact.DeleteDelay); err == nil && s.Store.IgnoreDeletionMarksDelay == "" {
		s.Store.IgnoreDeletionMarksDelay = text((delay / 2).Truncate(time.Second))
	}
	s.QueryFrontend.CompleteOnly = s.QueryFrontend.CompleteOnly || s.Query.CompleteOnly
	s.Store, s.Query = s.Store.WithDefaults(), s.Query.WithDefaults()
	s.QueryFrontend, s.BucketWeb = s.QueryFrontend.WithDefaults(), s.BucketWeb.WithDefaults()
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Under("store", s.Store.Validate())
	errs.Under("query", s.Query.Validate())
	errs.Under("queryFrontend", s.QueryFrontend.Validate())
	errs.Under("compact", s.Compact.Validate())
	errs.Under("bucketWeb", s.BucketWeb.Validate())

	ignore, ignoreErr := check.ParseDuration(s.Store.IgnoreDeletionMarksDelay)
	sync, syncErr := check.ParseDuration(s.Store.SyncInterval)
	remove, removeErr := check.ParseDuration(s.Compact.DeleteDelay)
	if errors.Join(ignoreErr, syncErr, removeErr) == nil {
		errs.Require(ignore+sync <= remove, "store.ignoreDeletionMarksDelay", s.Store.IgnoreDeletionMarksDelay,
			"must be shorter than compact.deleteDelay (%s) by store.syncInterval (%s), or the store reads blocks that are gone",
			s.Compact.DeleteDelay, s.Store.SyncInterval)
	}
	return errs.Err()
}

// Args are the settings, and what Thanos is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of all pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Blocks is the bucket that the sidecars upload to. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARNs are the IAM roles that the pods take, by name of service account: see ServiceAccounts. Default: none, for a store that is
	// not on AWS.
	RoleARNs map[string]pulumi.StringInput `pulumi:"roleArns,optional"`
	// CredentialsSecrets are the Secrets with the pods' credentials, in place of that of Blocks, by name of service account. Default: none.
	CredentialsSecrets map[string]string `pulumi:"credentialsSecrets,optional"`
	// StoreEndpoints are where query finds the sidecars: "dnssrv+_grpc._tcp.SERVICE.NAMESPACE.svc". The store's own is added.
	// Default: none.
	StoreEndpoints []pulumi.StringInput `pulumi:"storeEndpoints,optional"`
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	requireNamespace(&errs, a.Namespace)
	requireBlocks(&errs, a.Blocks)
	requireEndpoints(&errs, a.StoreEndpoints)
	var names []string
	for _, account := range ServiceAccounts() {
		names = append(names, account.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.RoleARNs)) {
		errs.Require(slices.Contains(names, name), "roleArns", name, "must be keyed by service account (%s)", strings.Join(names, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(a.CredentialsSecrets)) {
		errs.Require(slices.Contains(names, name), "credentialsSecrets", name, "must be keyed by service account (%s)", strings.Join(names, ", "))
	}
	return errs.Err()
}

// Thanos is all of it, running.
type Thanos struct {
	pulumi.ResourceState

	// QueryURL is the Prometheus API over all replicas and all time, and a web interface: "http://thanos-query.monitoring.svc:10902".
	QueryURL pulumi.StringOutput `pulumi:"queryUrl"`
	// QueryFrontendURL is the same with a cache: what Grafana takes.
	QueryFrontendURL pulumi.StringOutput `pulumi:"queryFrontendUrl"`
	// StoreEndpoint finds the stores by DNS, for another query.
	StoreEndpoint pulumi.StringOutput `pulumi:"storeEndpoint"`
}

// New deploys store, query, query frontend, compact and bucket web. The Prometheus Operator's definitions must exist before: pass
// pulumi.DependsOn.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Thanos, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Thanos{}
	if err := ctx.RegisterComponentResource(thanosToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	if err := wired.newParts(ctx, name, component, pulumi.Parent(component)); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"queryUrl": component.QueryURL, "queryFrontendUrl": component.QueryFrontendURL, "storeEndpoint": component.StoreEndpoint,
	})
}

// blocks is the bucket as one service account reaches it.
func (a Args) blocks(account string) objectstore.Location {
	at := a.Blocks
	if own := a.CredentialsSecrets[account]; own != "" {
		at.CredentialsSecret = own
	}
	return at
}

func (a Args) newParts(ctx *pulumi.Context, name string, component *Thanos, parent pulumi.ResourceOption) error {
	store, err := NewStore(ctx, name+"-store", &StoreArgs{
		StoreSettings: a.Store, Namespace: a.Namespace, PriorityClass: a.PriorityClass, Images: a.Images, Blocks: a.blocks(StoreName),
		RoleARN: a.RoleARNs[StoreName],
	}, parent)
	if err != nil {
		return fmt.Errorf("creating store: %w", err)
	}
	query, err := NewQuery(ctx, name+"-query", &QueryArgs{
		QuerySettings: a.Query, Namespace: a.Namespace, PriorityClass: a.PriorityClass, Images: a.Images,
		StoreEndpoints: append(slices.Clone(a.StoreEndpoints), store.Endpoint),
	}, parent)
	if err != nil {
		return fmt.Errorf("creating query: %w", err)
	}
	frontend, err := NewQueryFrontend(ctx, name+"-query-frontend", &QueryFrontendArgs{
		QueryFrontendSettings: a.QueryFrontend, Namespace: a.Namespace, PriorityClass: a.PriorityClass, Images: a.Images, QueryURL: query.URL,
	}, parent)
	if err != nil {
		return fmt.Errorf("creating query frontend: %w", err)
	}
	if _, err := NewCompact(ctx, name+"-compact", &CompactArgs{
		CompactSettings: a.Compact, Namespace: a.Namespace, PriorityClass: a.PriorityClass, Images: a.Images, Blocks: a.blocks(CompactName),
		RoleARN: a.RoleARNs[CompactName],
	}, parent); err != nil {
		return fmt.Errorf("creating compact: %w", err)
	}
	if _, err := NewBucketWeb(ctx, name+"-bucket-web", &BucketWebArgs{
		BucketWebSettings: a.BucketWeb, Namespace: a.Namespace, PriorityClass: a.PriorityClass, Images: a.Images, Blocks: a.blocks(BucketWebName),
		RoleARN: a.RoleARNs[BucketWebName],
	}, parent); err != nil {
		return fmt.Errorf("creating bucket web: %w", err)
	}
	component.StoreEndpoint, component.QueryURL, component.QueryFrontendURL = store.Endpoint, query.URL, frontend.URL
	return nil
}
